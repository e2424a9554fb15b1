"""authhost in Flask: pages, API, the current user, and the shared unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import Flask, Response, request as http

from authhost.errors import AuthError
from authhost.records import User
from authhost.request import Request as AuthRequest
from authhost.web import wsgi
from authhost.web.mounted import DEFAULT_CONFIG, Mounted, Source
from authhost.web.visit import Visit

P = ParamSpec("P")
R = TypeVar("R")


class AuthHostExtension:
    """A Flask extension: ``AuthHostExtension(app)``, or ``init_app`` in an application factory."""

    def __init__(self, app: Flask | None = None, source: Source = DEFAULT_CONFIG) -> None:
        self._source = source
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve authhost's pages and API in front of the routes of ``app``."""
        mounted = Mounted(self._source)
        app.extensions["authhost"] = mounted
        app.wsgi_app = wsgi.WSGIApp(mounted, app.wsgi_app)  # type: ignore[method-assign]
        app.register_error_handler(AuthError, _refused)


def mount(app: Flask, source: Source = DEFAULT_CONFIG) -> Mounted:
    """Serve authhost's pages and API in front of the routes of ``app``.

    ``source`` is the path of the configuration, or `Settings`, or a host of the application's own, which it
    closes itself. Refusals (`AuthError`) of the application's routes get a response, too.
    """
    AuthHostExtension(app, source)
    return cast("Mounted", app.extensions["authhost"])


def current_user() -> User | None:
    """Return the logged-in user of the current request, or None."""
    mounted, visit = _visit()
    return mounted.current_user(visit)


def login_required(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view: without a login a browser gets the login page, a program the status 401."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        mounted, visit = _visit()
        mounted.require_user(visit)
        return view(*args, **kwargs)

    return checked


@contextmanager
def unit_of_work() -> Iterator[AuthRequest]:
    """Open one transaction for a view and its hooks: ``with unit_of_work() as request:``."""
    mounted, visit = _visit()
    with mounted.unit_of_work(visit) as request:
        yield request


def _visit() -> tuple[Mounted, Visit]:
    mounted: Mounted = http.environ[wsgi.ENVIRON_KEY]
    return mounted, mounted.visit(lambda: wsgi.request_of(http.environ, native=http), http.environ)


def _refused(error: AuthError) -> Response:
    mounted: Mounted = http.environ[wsgi.ENVIRON_KEY]
    found = mounted.refusal(wsgi.request_of(http.environ, native=http), error)
    return Response(found.body, found.status_code, found.header_list())
