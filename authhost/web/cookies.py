"""The cookies of the web layer: names, and what a unit of work changes in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import NamedTuple

from authhost.request import Request
from authhost.settings import Settings
from authhost.web.http import WebRequest, WebResponse

SECURE_PREFIX = "__Host-"
NO_OWN_SESSION = "-"
"""No token is so short."""
DEVICE_SECONDS = 400 * 86400
"""The lifetime of the device cookie: 400 days. Browsers shorten longer times (RFC 6265bis, 5.5)."""


class Cookie(NamedTuple):
    """A cookie to set, or to delete if ``value`` is empty. ``max_age`` is in seconds."""

    name: str
    value: str
    max_age: int


class Cookies:
    """Names, reads and writes the cookies of one site.

    With an ``https`` ``base_url`` each name has the prefix ``__Host-``: no subdomain and no page without
    TLS can set the cookie (RFC 6265bis, 4.1.3.2). Without TLS, which is for development
    only, browsers refuse the prefix, so it is left out.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.secure = settings.base_url.startswith("https://")
        self.session = self.name("authhost-session")
        self.administrator = self.name("authhost-administrator")
        """The token of the administrator's own session, while they work in the account of somebody else.

        An operator has none: it is `NO_OWN_SESSION` then.
        """
        self.pending = self.name("authhost-pending")
        self.device = self.name("authhost-device")
        self.messages = self.name("authhost-messages")
        self.confirm_key = self.name("authhost-confirm")
        self.reset_key = self.name("authhost-reset")
        self.impersonation_key = self.name("authhost-impersonate")
        self.social_signup = self.name("authhost-social-signup")

    def name(self, name: str) -> str:
        """Return the complete name of a cookie."""
        plain = name.removeprefix(SECURE_PREFIX)
        return SECURE_PREFIX + plain if self.secure else plain

    def present(self, http: WebRequest) -> bool:
        """Return whether the request has a cookie of authhost, which a browser adds by itself."""
        prefix = self.name("authhost-")
        return any(name.startswith(prefix) for name in http.cookies)

    def set(self, response: WebResponse, cookie: Cookie) -> None:
        """Set or delete a cookie: HttpOnly, SameSite=Lax, for the whole host (ASVS 5.0, 3.3)."""
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.max_age if cookie.value else 0,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="Lax",
        )

    def changes(self, sent: Callable[[str], str], request: Request) -> Iterator[Cookie]:
        """Yield the cookies that a unit of work changes, at its end. The unit must still be open.

        ``sent`` returns the value of a cookie that the browser has, by its name.
        """
        session = request.session
        token = request.session_token if session is not None else None
        if session is not None and token is not None and token != sent(self.session):
            lasts = (session.expires_at - request.now).total_seconds()
            yield Cookie(self.session, token, max(1, ceil(lasts)))
        elif session is None and sent(self.session) and not request.impersonation_undecided:
            yield Cookie(self.session, "", 0)
        if session is not None and session.actor is None and sent(self.administrator):
            yield Cookie(self.administrator, "", 0)
        pending = request.pending_token or ""
        if pending != sent(self.pending):
            settings = self._settings
            lasts = max(settings.email_confirmation_timeout, settings.pending_login_timeout)
            yield Cookie(self.pending, pending, int(lasts))
        device = request.device_token
        if device and device != sent(self.device):
            yield Cookie(self.device, device, DEVICE_SECONDS)
