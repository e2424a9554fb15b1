"""Flows as a browser runs them: one unit of work each, with a cookie in between."""

from __future__ import annotations

from typing import Any

from authhost.host import AuthHost
from authhost.records import SocialRedirect, SocialResult
from authhost.request import Request
from authhost.socialaccount import cookie_name
from authhost.testing.openid import NAME, LocalProvider

SOCIAL = "social_"


class Browser:
    """``browser("login", identifier=…, password=…)`` runs one flow and keeps its session token.

    A flow of social login has ``social_`` before its name. Refusals are raised
    as the flow raises them. ``browser.start_social()`` and ``browser.finish_social(…)`` are
    the two halves of ``browser.social(…)``: several tabs may be at the provider
    at once, each with a cookie of its own.
    """

    def __init__(self, host: AuthHost, provider: LocalProvider | None = None) -> None:
        self.host, self.provider = host, provider
        self.token: str | None = None
        self.pending: str | None = None
        """The token of a login that waits in this browser."""
        self.device_token: str | None = None
        self.cookies: dict[str, str] = {}
        self.ip_address: str | None = "127.0.0.1"
        self.user_agent = "authhost.testing"
        self.language: str | None = None

    def request(self) -> Request:
        """A unit of work of this browser, for a ``with`` block."""
        return self.host.request(
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            session_token=self.token,
            pending_token=self.pending,
            language=self.language,
            device_token=self.device_token,
        )

    def __call__(self, flow: str, /, **values: Any) -> Any:
        group: Any = self.host.account
        if flow.startswith(SOCIAL):
            group, flow = self.host.socialaccount, flow.removeprefix(SOCIAL)
        with self.request() as request:
            result = getattr(group, flow)(request, **values)
            left, self.pending = request.session_token is None, request.pending_token
            self.device_token = request.device_token
        self._keep(result, left=left)
        return result

    def social(
        self, process: str = "login", *, sub: str = "bob", agree: bool = True, **claims: Any
    ) -> SocialResult:
        """Go to the local provider as ``sub``, who has ``claims`` there, and come back."""
        redirect = self.start_social(process)
        return self.finish_social(redirect, sub=sub, agree=agree, **claims)

    def start_social(self, process: str = "login", **values: Any) -> SocialRedirect:
        """Go to the local provider in a tab of its own; ``values`` are those of ``socialaccount.begin``."""
        assert self.provider is not None, "this browser knows no provider"
        self.provider.start()
        redirect: SocialRedirect = self("social_begin", provider=NAME, process=process, **values)
        return redirect

    def finish_social(
        self, redirect: SocialRedirect, *, sub: str = "bob", agree: bool = True, **claims: Any
    ) -> SocialResult:
        """Log in at the local provider as ``sub``, who has ``claims`` there, and come back in that tab."""
        assert self.provider is not None, "this browser knows no provider"
        self.provider.person(sub, **claims)
        params = self.provider.visit(redirect, sub, agree=agree)
        state_token = self.cookies.pop(cookie_name(params), None)
        result: SocialResult = self("social_complete", provider=NAME, params=params, state_token=state_token)
        return result

    def forget(self) -> None:
        """Be another browser, without the cookies."""
        self.token = self.pending = self.device_token = None
        self.cookies.clear()

    def _keep(self, result: Any, *, left: bool) -> None:
        if isinstance(result, SocialRedirect):
            self.cookies[result.cookie_name] = result.state_token
        login = getattr(result, "login", None)
        token = getattr(result, "session_token", None) or getattr(login, "session_token", None)
        self.token = token or (None if left else self.token)
