"""A web layer inside an application: when its host is opened, and what application routes need of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import quote

from authhost.errors import AuthError, LoginRequired
from authhost.host import AuthHost
from authhost.records import User
from authhost.request import Request
from authhost.settings import Settings
from authhost.web.http import SAFE_METHODS, WebRequest, WebResponse
from authhost.web.problems import WebError, status_of
from authhost.web.schemas import next_steps, steps_of_refusal
from authhost.web.site import Web
from authhost.web.visit import Visit

Source: TypeAlias = AuthHost | Settings | str | os.PathLike[str]
STATE_KEY = "authhost.state"
"""Where the adapters and the routes share a dict: in the ASGI scope, or the WSGI environment.

Middleware and mounted applications may copy the scope; they copy a reference to the dict.
"""
PATH_KEY, VISIT_KEY = "path", "visit"
PATH_CHARACTERS = "/:@!$&'()*+,;=~"
"""What a path may have beside letters and digits, without encoding (RFC 3986, 3.3)."""
DEFAULT_CONFIG = "authhost.toml"


class Mounted:
    """The web layer of an application, from a host, its settings, or the path of a TOML file.

    The application closes a host that it has opened itself. Otherwise the host is opened in
    the process that serves: at the start of an ASGI application, or at the first request, also
    after a server has forked. `close` closes that host.
    """

    def __init__(self, source: Source = DEFAULT_CONFIG) -> None:
        self._source = source
        self._web: Web | None = None
        self._process = os.getpid()
        self._lock = Lock()

    @property
    def web(self) -> Web:
        """The web layer. Opens the host if this process has none yet; raises `ConfigurationError`."""
        web = self._web
        if web is not None and self._process == os.getpid():
            return web
        with self._lock:
            if self._web is None or self._process != os.getpid():
                if isinstance(self._source, AuthHost) and self._process != os.getpid():
                    # Two processes on one connection would read each other's results.
                    self._source.engine.dispose(close=False)
                self._web = Web(self._host())
                self._process = os.getpid()
            return self._web

    @cached_property
    def settings(self) -> Settings:
        """The settings. They are read without opening the host; raises `ConfigurationError`."""
        source = self._source
        if isinstance(source, AuthHost):
            return source.settings
        if isinstance(source, Settings):
            return source
        path = Path(source)
        return Settings.load(path if path.exists() or source != DEFAULT_CONFIG else None)

    def _host(self) -> AuthHost:
        return self._source if isinstance(self._source, AuthHost) else AuthHost(self.settings)

    def close(self) -> None:
        """Close the host, if it was opened here."""
        web, self._web = self._web, None
        if web is not None and self._process == os.getpid() and not isinstance(self._source, AuthHost):
            web.host.close()

    def visit(self, make: Callable[[], WebRequest], state: MutableMapping[str, Any]) -> Visit:
        """Return the visit of an application's route, once for each request.

        ``make`` makes its request, and ``state`` is the ASGI scope or the WSGI environment. With
        an unsafe method, a logged-in user counts only if the request is this site's own: the check
        of the web layer's forms protects the application's routes, too. It also applies to a
        WebSocket, which any page can open with the cookies of this site. Raises `WebError`
        (``cross_site``, ``two_credentials``).
        """
        shared = state.setdefault(STATE_KEY, {})
        found = shared.get(VISIT_KEY)
        if isinstance(found, Visit):
            return found
        http = make()
        web = self.web
        if http.has_bearer and http.cookies.get(web.context.cookies.session):
            raise WebError("two_credentials")
        if not http.has_bearer and (http.method not in SAFE_METHODS or state.get("type") == "websocket"):
            self._check_origin(http)
        visit = shared[VISIT_KEY] = _new_visit(web, http)
        return visit

    def _check_origin(self, http: WebRequest) -> None:
        context = self.web.context
        if not context.origins.is_own(http, has_cookie=context.cookies.present(http)):
            raise WebError("cross_site")

    @contextmanager
    def unit_of_work(self, visit: Visit) -> Iterator[Request]:
        """Open the unit of work that an application's route shares with its hooks.

        It commits at the end of the block. The cookies and messages that flows and plugins
        have changed are added to the response then.
        """
        with visit.unit_of_work() as request:
            yield request

    def current_user(self, visit: Visit) -> User | None:
        """Return the logged-in user, or None. Within `unit_of_work`, of that unit of work.

        The session is read once for each request, unless a later unit of work reads it again.
        """
        if visit.is_open:
            return visit.request.user
        if visit.has_ended:
            return visit.known_user
        with visit.unit_of_work() as request:
            return request.user

    def require_user(self, visit: Visit) -> User:
        """Return the logged-in user; raises `LoginRequired`."""
        user = self.current_user(visit)
        if user is None:
            raise LoginRequired
        return user

    def refusal(self, http: WebRequest, error: AuthError) -> WebResponse:
        """Return the response for a refusal in an application's route.

        A person who opens a page without a login is redirected to the login page and back.
        Programs get the problem document of the JSON API (RFC 9457).
        """
        web = self.web
        visit = _new_visit(web, http)
        if isinstance(error, LoginRequired) and http.method == "GET" and http.wants_page:
            path = quote(http.path, safe=PATH_CHARACTERS)
            response = web.log_in_first(visit, error, visit.here(web.context.root + path))
        else:
            steps = steps_of_refusal(visit, error)
            if status_of(error) == 401:
                with visit.unit_of_work():
                    steps = next_steps(visit)
            response = visit.problem(error, steps)
        response.headers["Cache-Control"] = "no-store"
        return response


def _new_visit(web: Web, http: WebRequest) -> Visit:
    return Visit(web.context, http, credential="bearer" if http.has_bearer else "cookie")


def applied_headers(state: MutableMapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers that the visit of an application's route adds to its response.

    These are ``Set-Cookie``, and ``Vary``, so that no cache gives the response to another person.
    """
    visit = state.get(STATE_KEY, {}).get(VISIT_KEY)
    if not isinstance(visit, Visit):
        return []
    response = visit.apply(WebResponse())
    visit.keep_messages(response)
    cookies = [("Set-Cookie", value) for value in response.headers.getlist("Set-Cookie")]
    return [*cookies, ("Vary", "Cookie, Authorization")]
