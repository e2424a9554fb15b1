"""The exceptions of the contract."""

from __future__ import annotations


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
