"""Run flows like a browser does: one unit of work for each flow, with cookies in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from authhost_hookspecs import Actor

from authhost.host import AuthHost
from authhost.records import SocialRedirect, SocialResult, TokenResult
from authhost.request import Request
from authhost.socialaccount import cookie_name
from authhost.testing.host import Clock, drain
from authhost.testing.openid import PROVIDER_ID, LocalProvider

SOCIAL = "social_"
ACCOUNTS = "accounts_"
LOGINS = "logins_"
MAX_STEPS = 20
"""How many steps of one login `Browser.complete_steps` completes at most."""


class Browser:
    """``browser("login", identifier=…, password=…)`` runs one flow and keeps its session token.

    It then waits for the jobs of ``in_background``, so that a test can check what they did.

    The prefix ``social_`` selects a flow of social login, ``accounts_`` a change
    through ``request.accounts``, ``logins_`` a login by a plugin (``request.logins``). A
    flow's errors are raised unchanged.
    ``browser.start_social()`` and ``browser.finish_social(…)`` are the two halves of
    ``browser.social(…)``, so that a test can have several tabs at the provider, each
    with its own cookie. ``given`` of each method is passed to ``host.request(given=…)``.
    """

    def __init__(self, host: AuthHost, provider: LocalProvider | None = None, native: Any = None) -> None:
        self.host, self.provider, self.native = host, provider, native
        self.token: str | None = None
        """The session token."""
        self.pending: str | None = None
        """The token of a login that has not been completed in this browser."""
        self.device_token: str | None = None
        self.cookies: dict[str, str] = {}
        """The state token of each social login that has started, by the name of its cookie."""
        self.plugin_cookies: dict[str, str] = {}
        """What plugins read as ``request.cookies``."""
        self.ip_address: str | None = "127.0.0.1"
        self.user_agent = "authhost.testing"
        self.language: str | None = None
        self.actor: Actor | None = None
        """Who acts, if that is not the logged-in user."""

    @contextmanager
    def request(self, *, given: Mapping[str, str] | None = None) -> Iterator[Request]:
        """A unit of work of this browser, for a ``with`` block. The tokens that it changes are kept."""
        sent = self.token, self.pending, self.device_token
        with self.host.request(
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            session_token=self.token,
            pending_token=self.pending,
            language=self.language,
            device_token=self.device_token,
            given=given,
            native=self.native,
            cookies=self.plugin_cookies,
            actor=self.actor,
        ) as request:
            yield request
            found = request.session_token, request.pending_token, request.device_token
        if found != sent:
            self.token, self.pending, self.device_token = found

    def __call__(self, flow: str, /, *, given: Mapping[str, str] | None = None, **values: Any) -> Any:
        group: Any = self.host.account
        if flow.startswith(SOCIAL):
            group, flow = self.host.socialaccount, flow.removeprefix(SOCIAL)
            if isinstance(self.host.clock, Clock):
                self.host.clock.catch_up()
        try:
            with self.request(given=given) as request:
                if flow.startswith(ACCOUNTS):
                    result = getattr(request.accounts, flow.removeprefix(ACCOUNTS))(**values)
                elif flow.startswith(LOGINS):
                    getattr(request.logins, flow.removeprefix(LOGINS))(**values)
                    result = TokenResult(request.session_token or "") if request.user is not None else None
                else:
                    result = getattr(group, flow)(request, **values)
                logged_out, self.pending = request.session_token is None, request.pending_token
                self.device_token = request.device_token
        finally:
            drain(self.host)
        self._store_cookies(result, logged_out=logged_out)
        return result

    def social(
        self,
        process: str = "login",
        *,
        sub: str = "bob",
        agree: bool = True,
        given: Mapping[str, str] | None = None,
        **claims: Any,
    ) -> SocialResult:
        """Log in through the local provider as its user ``sub``, who has ``claims`` there.

        ``agree=False`` cancels at the provider.
        """
        redirect = self.start_social(process, given=given)
        return self.finish_social(redirect, sub=sub, agree=agree, **claims)

    def start_social(
        self, process: str = "login", *, given: Mapping[str, str] | None = None, **values: Any
    ) -> SocialRedirect:
        """Start a social login in a new tab. ``values`` are arguments of ``socialaccount.begin``."""
        assert self.provider is not None, "social login needs a provider: Browser(host, LocalProvider())"
        self.provider.start()
        flow = {"provider": PROVIDER_ID, "process": process, **values}
        redirect: SocialRedirect = self("social_begin", given=given, **flow)
        return redirect

    def finish_social(
        self,
        redirect: SocialRedirect,
        *,
        sub: str = "bob",
        agree: bool = True,
        given: Mapping[str, str] | None = None,
        **claims: Any,
    ) -> SocialResult:
        """Log in at the local provider as ``sub``, who has ``claims`` there, and return to the host."""
        assert self.provider is not None, "social login needs a provider: Browser(host, LocalProvider())"
        self.provider.set_user(sub, **claims)
        params = self.provider.visit(redirect, sub, agree=agree)
        state_token = self.cookies.pop(cookie_name(params), None)
        flow = {"provider": PROVIDER_ID, "params": params, "state_token": state_token}
        result: SocialResult = self("social_complete", given=given, **flow)
        return result

    def complete_steps(self) -> None:
        """Complete the steps that plugins require of the pending login, without their pages.

        For a test that needs what comes after a login. Nobody has proved anything.
        """
        for _ in range(MAX_STEPS):
            with self.request() as request:
                pending = request.logins.pending
            plugin_steps = [each for each in pending.steps if "." in each] if pending is not None else []
            if not plugin_steps:
                return
            self("logins_complete_step", key=plugin_steps[0])

    def forget(self) -> None:
        """Delete all cookies, as if this were another browser."""
        self.token = self.pending = self.device_token = None
        self.cookies.clear()

    def _store_cookies(self, result: Any, *, logged_out: bool) -> None:
        if isinstance(result, SocialRedirect):
            self.cookies[result.cookie_name] = result.state_token
        login = getattr(result, "login", None)
        token = getattr(result, "session_token", None) or getattr(login, "session_token", None)
        self.token = token or (None if logged_out else self.token)
