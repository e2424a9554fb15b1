"""What a unit of work knows of the browser, the flow and the refusals, as values that can be restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from authhost.errors import AuthError
from authhost.records import Given, Session, User

if TYPE_CHECKING:
    from authhost_hookspecs import SocialLogin


class BrowserState(NamedTuple):
    """The logged-in user of a unit of work, the tokens of the pending login and the device, new guards."""

    loaded: bool
    session: Session | None
    user: User | None
    password: str | None
    session_token: str | None
    pending_token: str | None
    device_token: str | None
    guards: Mapping[UUID, tuple[str, ...]]


class FlowState(NamedTuple):
    """What a unit of work knows of the flow that runs in it, or that ran last."""

    identifier_digest: str | None
    provider: str | None
    given: Given
    sociallogin: SocialLogin | None = None
    find_sociallogin: Callable[[], SocialLogin | None] | None = None


class Refusal(NamedTuple):
    """A refusal for which `flow_refused` was called. Plugins' records of it are stored, the flow is not."""

    flow: str
    error: AuthError
    user: User | None
    repeated: int


class CallState(NamedTuple):
    """What a failed call of a hook may have changed, beside what it wrote and queued."""

    browser: BrowserState
    flow: FlowState
    counted: int
    refusals: int
