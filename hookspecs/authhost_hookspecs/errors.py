"""The exceptions of the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar

ROUTE_PATH = re.compile(r"(/[a-z0-9]+(-[a-z0-9]+)*){1,8}")
"""The form of the paths of a plugin's routes."""


class Refused(Exception):
    """Raised by a veto, such as `before_signup` or `check_password`, to refuse the flow.

    ``code`` is for programs and must not change between releases. ``message`` is
    for the person at the form. Neither may reveal whether an account exists, or
    contain a password. ``field`` (since 1.1) is the argument of the flow that the
    message is about, so that a form shows it there.

    ``path`` (since 1.1) is the path of the plugin's own `PageRoute` on which the person can do
    what is missing, such as ``/reauthenticate``. The web layer leads the browser to that
    page with the message, and back after its ``action`` has called
    ``request.logins.reauthenticate``. The JSON API lists the plugin's `ApiRoute` for POST
    with this path in ``next``. ``retry_after`` (since 1.1) says in how many seconds to try
    again, also in the header ``Retry-After``. Raises ``ValueError`` for another path, and
    for a time that is not above 0.
    """

    field: str | None = None
    path: str | None = None
    retry_after: float | None = None

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        *,
        path: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        if path is not None and not ROUTE_PATH.fullmatch(path):
            raise ValueError(
                "path must begin with / and consist of lower-case words, such as /reauthenticate"
            )
        if retry_after is not None and not (isfinite(retry_after) and retry_after > 0):
            raise ValueError("retry_after must be above 0, in seconds")
        self.code = code
        self.message = message
        self.field = field
        self.path = path
        self.retry_after = retry_after


class FlowError(Exception):
    """The host refuses what a plugin or a user has asked for. Since 1.1.

    Every refusal of a flow is one, also ``error`` of `flow_refused`. ``code`` is
    stable and for programs, ``str(error)`` is for people, ``fields`` has details
    for programs. Everything that the refused call wrote is undone, so a plugin may
    catch it and continue. If it does not, it counts as a failure of the plugin.
    """

    code: ClassVar[str] = "refused"
    fields: Mapping[str, Any]


class CannotOpen(Exception):
    """Raised by ``request.open`` and ``host.open``: none of the host's keys opens the text for this purpose.

    The key was removed from the settings, the text was changed, or it was
    sealed for another purpose. The message says what the operator can do. It
    contains nothing of the text.
    """


class StopFlow(Exception):
    """Raised by `pre_social_login` to end the flow with the plugin's own response.

    Rows that were written before stay stored. The flow returns ``response`` unchanged.
    """

    def __init__(self, response: object = None) -> None:
        super().__init__("a plugin ended the flow")
        self.response = response
