"""authhost in Starlette: pages, API, the current user, and the shared unit of work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from authhost.errors import AuthError
from authhost.records import User
from authhost.request import Request as AuthRequest
from authhost.web import asgi
from authhost.web.mounted import DEFAULT_CONFIG, Mounted, Source
from authhost.web.visit import Visit

Endpoint = Callable[[Request], Awaitable[Response]]
POLICY_VIOLATION = 1008
"""The code of a WebSocket that is closed because of a refusal (RFC 6455, 7.4.1)."""


def mount(app: Starlette, source: Source = DEFAULT_CONFIG) -> Mounted:
    """Serve authhost's pages and API in front of the routes of ``app``; see `Mounted` for ``source``.

    Refusals (`AuthError`) of the application's routes get a response, too.
    """
    mounted = Mounted(source)
    app.add_middleware(_in_front, mounted)
    refused: Any = partial(_refused, mounted)  # of requests and of WebSockets, which Starlette types apart
    app.add_exception_handler(AuthError, refused)
    return mounted


async def current_user(http: HTTPConnection) -> User | None:
    """Return the logged-in user, or None."""
    mounted, visit = _visit(http)
    return await to_thread.run_sync(mounted.current_user, visit)


def login_required(endpoint: Endpoint) -> Endpoint:
    """Decorate a route: without a login a browser gets the login page, a program the status 401."""

    @wraps(endpoint)
    async def checked(http: Request) -> Response:
        mounted, visit = _visit(http)
        await to_thread.run_sync(mounted.require_user, visit)
        return await endpoint(http)

    return checked


@asynccontextmanager
async def unit_of_work(http: HTTPConnection) -> AsyncIterator[AuthRequest]:
    """Open one transaction for a route and its hooks. Call flows in a thread: they are synchronous."""
    mounted, visit = _visit(http)
    async with asgi.in_thread(mounted.unit_of_work(visit)) as request:
        yield request


def _in_front(app: asgi.ASGIApplication, mounted: Mounted) -> asgi.ASGIApp:
    return asgi.ASGIApp(mounted, app)


def _visit(http: HTTPConnection) -> tuple[Mounted, Visit]:
    mounted: Mounted = http.scope[asgi.SCOPE_KEY]
    return mounted, mounted.visit(lambda: asgi.request_of(http.scope, native=http), http.scope)


async def _refused(mounted: Mounted, http: Any, error: Exception) -> Any:
    assert isinstance(error, AuthError)
    if isinstance(http, WebSocket):
        await http.close(POLICY_VIOLATION, error.code)
        return None
    found = await to_thread.run_sync(mounted.refusal, asgi.request_of(http.scope, native=http), error)
    response = Response(found.body, found.status_code)
    response.raw_headers[:] = found.raw_headers
    return response
