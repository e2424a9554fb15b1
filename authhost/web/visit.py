"""One visit of a client: its request, the unit of work, and what the response changes in the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from authhost_hookspecs import ApiRoute, Field, FlowError, Form, PageMessage, PageRoute, Values

from authhost.account.flow import is_impersonated, refuse_while_impersonating, require_recent_login
from authhost.account.impersonation import return_to_administrator
from authhost.account.open_login import must_wait
from authhost.account.pending import known_pending_login
from authhost.errors import InvalidInput, LoginRequired
from authhost.records import User
from authhost.request import Request
from authhost.request.answer import Answer
from authhost.security.redirects import validate_next
from authhost.web.context import WebContext
from authhost.web.cookies import Cookie
from authhost.web.http import WebRequest, WebResponse
from authhost.web.inputs import read_given
from authhost.web.languages import Gettext, Language, choose_language
from authhost.web.messages import pack, unpack
from authhost.web.page_values import plain
from authhost.web.problems import AlreadyLoggedIn, WebError, problem, text_of

SAFE_METHODS = ("GET", "HEAD")
DEVICE_HEADER = "Authhost-Device"
"""The header with the device token of a client without cookies."""
NO_VALUES: Mapping[str, str] = MappingProxyType({})
MESSAGE_SECONDS = 300
"""How long messages wait for the next page."""


class Visit:
    """One request of a client.

    ``credential`` is the client's only credential: ``cookie`` or ``bearer``. With
    ``bearer`` no cookie is read or set, and new tokens are in the JSON body.
    """

    def __init__(self, web: WebContext, http: WebRequest, *, credential: str = "cookie") -> None:
        self.web, self.http, self.credential = web, http, credential
        self.error: FlowError | None = None
        """The refusal that the page shows."""
        self.values: Values = {}
        """The values of a refused form, to show them again."""
        self.cookies: list[Cookie] = []
        """The cookies that the response changes, after the commit."""
        self.messages: list[PageMessage] = []
        """The messages for the next page of this browser."""
        self.location: str | None = None
        """Where a plugin redirects the browser to."""
        self.tokens: dict[str, str] = {}
        """New tokens, for a client without cookies."""
        self.known_user: User | None = None
        """Who is logged in at the end of the unit of work; None also before it."""
        self.is_impersonated = False
        """Whether an administrator works in the account of `known_user`."""
        self.has_ended = False
        """Whether a unit of work of this visit has ended, so that `known_user` is known."""
        self.is_open = False
        """Whether the unit of work is open."""
        self.answers: list[Answer] = []
        """What plugins change in a browser, by unit of work: a route may open several."""
        self.request: Request

    @contextmanager
    def unit_of_work(self) -> Iterator[Request]:
        """Open the unit of work of this visit, and take what it changes in the browser after the commit."""
        http, names = self.http, self.web.cookies
        bearer = self._bearer_token() if self.credential == "bearer" else None
        device = http.headers.get(DEVICE_HEADER) if self.credential == "bearer" else self.cookie(names.device)
        self.request = self.web.host.request(
            ip_address=http.client_address(self.web.host.settings.trusted_proxies),
            user_agent=http.headers.get("User-Agent", ""),
            session_token=self.cookie(names.session) or self.tokens.get("session_token") or bearer,
            pending_token=self.cookie(names.pending) or None,
            device_token=device or None,
            language=http.headers.get("Accept-Language"),
            native=http.native,
            given=self.given,
            cookies=http.cookies if self.credential == "cookie" else None,
        )
        self.answers += [self.request.answer] if self.credential == "cookie" else []
        with self.request as request:
            self.is_open = True
            try:
                self._return_to_administrator(request)
                yield request
            finally:
                self.known_user = request.user
                self.is_impersonated = is_impersonated(request)
                self.is_open = False
                self.has_ended = True
            changed = list(names.changes(self.cookie, request)) if self.credential == "cookie" else []
            tokens = _tokens(request, bearer, device) if self.credential == "bearer" else {}
        self.tokens = tokens
        self.cookies += changed
        self.messages += [PageMessage(each.level, plain(each.text)) for each in request.answer.messages]
        self.location = request.answer.location

    def _return_to_administrator(self, request: Request) -> None:
        """After an impersonation that has ended by itself, go on with the administrator's own session.

        But not where something is sent: it was meant for the other account.
        """
        token = self.cookie(self.web.cookies.administrator)
        if not token or self.http.method not in SAFE_METHODS or request.user is not None:
            return
        if request.impersonation_undecided:
            return
        return_to_administrator(request, token)
        if request.user is None:
            self.set_cookie(self.web.cookies.administrator, "", 0)

    def _bearer_token(self) -> str | None:
        authorization = self.http.authorization
        return authorization.token if authorization is not None else None

    @property
    def logged_in(self) -> bool:
        """Whether somebody is logged in at the end of the unit of work."""
        return self.known_user is not None

    @property
    def account_name(self) -> str:
        """The address or name of that user, for password managers."""
        user = self.known_user
        return (user.email or user.username or "") if user is not None else ""

    @cached_property
    def language(self) -> Language:
        """The language of this client."""
        return choose_language(self.http.accept_languages)

    @property
    def gettext(self) -> Gettext:
        """The function that translates a text for this client."""
        return self.language.gettext

    @cached_property
    def given(self) -> dict[str, str]:
        """The parameters of the setting ``web_given``."""
        return read_given(self.http, self.web.host.settings.web_given)

    @property
    def user(self) -> User:
        """The logged-in user; raises `LoginRequired`."""
        user = self.request.user
        if user is None:
            raise LoginRequired
        return user

    @property
    def next(self) -> str:
        """The page that the person wanted, from the form or the query; empty if it is not valid."""
        return self.site_path(self.values.get("next") or self.http.args.get("next", ""))

    def site_path(self, target: object) -> str:
        """Return ``target`` if it is a page of this site, otherwise an empty text."""
        try:
            return validate_next(self.web.host.settings, target) if target else ""
        except InvalidInput:
            return ""

    def with_next(self, path: str, next_path: str = "") -> str:
        """Return ``path`` with the page that the person wanted, and with what is given to plugins."""
        wanted = next_path or self.next
        kept = {**({"next": wanted} if wanted else {}), **self.given}
        return f"{path}?{urlencode(kept)}" if kept else path

    def require_recent_login(self) -> None:
        """Raise `LoginRequired` or `ReauthenticationRequired`, before a page shows a sensitive form."""
        require_recent_login(self.request)

    def check_access(self, plugin: str, route: PageRoute | ApiRoute) -> None:
        """Raise what `check_login` raises, or, if no login waits for the route's step, one of two refusals.

        `AlreadyLoggedIn` if somebody is logged in, such as after a form that was sent twice; otherwise
        `LoginRequired`. A blocked plugin has no routes (``not_found``). Raises `Impersonated` where something
        is sent while an administrator works in the account.
        """
        self.require_unblocked(plugin)
        if self.http.method not in SAFE_METHODS:
            refuse_while_impersonating(self.request)
        if not route.step:
            self.check_login(login=route.login, recent=route.recent_login)
            return
        _, steps = known_pending_login(self.request) or (None, ())
        step = next((each for each in steps if each.key == f"{plugin}.{route.step}"), None)
        if step is None or must_wait(step, steps):
            raise LoginRequired if self.request.user is None else AlreadyLoggedIn

    def require_unblocked(self, plugin: str) -> None:
        """Raise `WebError` if a plugin is blocked, as if it had no pages."""
        if plugin in self.request.services.blocked:
            raise WebError("not_found")

    def check_login(self, *, login: bool, recent: bool) -> None:
        """Raise `LoginRequired` or `ReauthenticationRequired` if the route requires a (recent) login."""
        if recent:
            self.require_recent_login()
        elif login:
            _ = self.user

    def here(self, path: str) -> str:
        """Return a path with the query of this request."""
        query = self.http.query_string.decode("ascii", "replace")
        return f"{path}?{query}" if query else path

    def url(self, path: str) -> str:
        """Return the path of a page of the web layer on this site."""
        return self.web.prefix + path

    def cookie(self, name: str) -> str:
        """Return a cookie of a browser, as this visit changed it; empty for a client with a token."""
        if self.credential != "cookie":
            return ""
        changed = [each.value for each in self.cookies if each.name == name]
        return changed[-1] if changed else self.http.cookies.get(name, "")

    def take_cookie(self, name: str) -> str:
        """Return a cookie that is used once, and delete it with the response."""
        found = self.cookie(name)
        if found:
            self.set_cookie(name, "", 0)
        return found

    def set_cookie(self, name: str, value: str, max_age: float) -> None:
        """Set a cookie with the response; an empty value deletes it. ``max_age`` is in seconds."""
        self.cookies.append(Cookie(name, value, int(max_age)))

    def provider_name(self, provider: str) -> str:
        """Return the name of a provider for people; its id if the site has it no more."""
        providers = self.web.host.services.providers
        return providers.app(provider).name if provider in providers else provider

    # Forms.

    def form(self, path: str, submit: str, *, title: str = "", danger: bool = False, **values: str) -> Form:
        """Return the form of an endpoint, translated and with ``values``."""
        fields = self.web.fields[path]
        shown = tuple(self._translated(each, values) for each in fields)
        return Form(path, submit, shown, title, danger=danger)

    def button(
        self, path: str, label: str, values: Mapping[str, str] = NO_VALUES, *, danger: bool = False
    ) -> Form:
        """Return a form with hidden values, which is shown as a button."""
        fields = tuple(Field(name, type="hidden", value=value) for name, value in values.items() if value)
        return Form(path, label, fields, danger=danger)

    def _translated(self, field: Field, values: dict[str, str]) -> Field:
        hint = (
            self.password_hint
            if field.type == "new_password"
            else self.gettext(field.hint)
            if field.hint
            else ""
        )
        label = self.gettext(field.label) if field.label else ""
        return replace(
            field,
            label=label,
            value=values.get(field.name) or self.given.get(field.name) or field.value,
            hint=hint,
        )

    @property
    def password_hint(self) -> str:
        """What a new password must be like, shown before one is chosen."""
        return self.gettext(
            "At least %(count)s characters; a phrase of several words is good. Common passwords are refused.",
            count=self.web.host.password_policy.min_length,
        )

    def describe(self, error: FlowError) -> str:
        """Return the text of a refusal in the language of this client."""
        return text_of(error, self.gettext, min_length=self.web.host.password_policy.min_length)

    def problem(self, error: FlowError, steps: list[dict[str, Any]]) -> WebResponse:
        """Return the problem document of a refusal, in the language of this client."""
        return self.in_language(problem(error, self.describe(error), self.url("/api/problems"), steps))

    def in_language(self, response: WebResponse) -> WebResponse:
        """Say that the texts of a response are in the language of this client (RFC 9110, 8.5)."""
        response.headers["Content-Language"] = self.language.tag
        return response

    # Messages for the next page.

    def read_messages(self) -> tuple[PageMessage, ...]:
        """Return the messages that an earlier response left for this page, and delete them."""
        return unpack(self.take_cookie(self.web.cookies.messages))

    def keep_messages(self, response: WebResponse) -> None:
        """Keep the messages for the next page in a cookie; those that do not fit are dropped."""
        packed = pack(self.messages) if self.credential == "cookie" else ""
        if packed:
            self.web.cookies.set(response, Cookie(self.web.cookies.messages, packed, MESSAGE_SECONDS))

    def apply(self, response: WebResponse) -> WebResponse:
        """Set the cookies of plugins, then authhost's own, on a response."""
        for answer in self.answers:
            answer.apply_to(response)
        for each in self.cookies:
            self.web.cookies.set(response, each)
        return response


def _tokens(request: Request, *sent: str | None) -> dict[str, str]:
    """Return the tokens that a client without cookies must store."""
    tokens: dict[str, Any] = {
        "session_token": request.session_token if request.user is not None else None,
        "pending_token": request.pending_token,
        "device_token": request.device_token,
    }
    return {name: token for name, token in tokens.items() if token and token not in sent}
