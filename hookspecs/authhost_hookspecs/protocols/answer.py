"""Changes to the web response that a plugin asks for."""

from __future__ import annotations

from typing import Literal, Protocol

MessageLevel = Literal["info", "success", "warning", "error"]
"""The levels of messages to the person at the browser."""
SameSite = Literal["Lax", "Strict", "None"]


class Answer(Protocol):
    """Changes to the response of the web request. They are applied after the commit.

    They are dropped if the call of the hook fails, and with a rollback. If two changes
    concern the same cookie, or both redirect, the later one replaces the earlier one.
    The application, or authhost's web layer, applies them; outside a web request
    nothing happens. Wrong values raise ``ValueError`` or ``TypeError``. Since 1.1.
    """

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        http_only: bool = True,
        same_site: SameSite = "Lax",
        secure: bool = True,
    ) -> None:
        """Set a cookie (RFC 6265). ``max_age`` is in seconds.

        Without ``max_age``, the cookie ends with the browser session; its maximum is 400
        days. Name and value have at most 4096 characters together. A value consists of
        ASCII letters, digits and punctuation except quotation marks, commas, semicolons
        and backslashes: encode all other characters yourself. Names that begin with
        ``authhost``, ``__Host-authhost`` or ``__Secure-`` are refused. In one
        unit of work, each plugin may set or delete at most 20 different cookies.
        """

    def delete_cookie(self, name: str, *, path: str = "/") -> None:
        """Delete a cookie that was set with the same ``path``."""

    def message(self, level: MessageLevel, text: str) -> None:
        """Show a text of 1 to 1000 characters to the person, such as a flash message.

        It is plain text: the application escapes it. In one unit of work, each plugin
        may show at most 20 messages.
        """

    def redirect(self, path: str) -> None:
        """Redirect the browser to a page of this site: a path, or a URL on ``base_url``."""
