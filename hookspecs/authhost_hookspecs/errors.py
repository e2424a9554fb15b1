"""The exceptions of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Refused(Exception):
    """Raised by a veto, such as `before_signup` or `check_password`, to refuse the flow.

    ``code`` is for programs and must not change between releases. ``message`` is
    for the person at the form. Neither may reveal whether an account exists, or
    contain a password. ``field`` (since 1.1) is the argument of the flow that the
    message is about, so that a form shows it there.
    """

    field: str | None = None

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


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
