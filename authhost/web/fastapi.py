"""authhost in FastAPI: pages, API, the current user, and the shared unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from authhost.records import User
from authhost.request import Request as AuthRequest
from authhost.web import asgi
from authhost.web.mounted import DEFAULT_CONFIG, Mounted, Source
from authhost.web.openapi import merged_document
from authhost.web.starlette import mount as mount_starlette


def mount(app: FastAPI, source: Source = DEFAULT_CONFIG, *, merge_openapi: bool = True) -> Mounted:
    """Serve authhost's pages and API in front of the routes of ``app``.

    ``source`` is the path of the configuration, or `Settings`, or a host of the application's own, which it
    closes itself. ``merge_openapi`` adds the API to the application's OpenAPI document.
    """
    mounted = mount_starlette(app, source)
    if merge_openapi:
        original = app.openapi

        def merged() -> dict[str, Any]:
            return merged_document(mounted.web.openapi, original())

        app.openapi = merged  # type: ignore[method-assign]
    return mounted


def current_user(http: Request) -> User | None:
    """Dependency: the logged-in user, or None."""
    mounted, visit = _visit(http)
    return mounted.current_user(visit)


def login_required(http: Request) -> User:
    """Dependency: the logged-in user. Without one, a browser gets the login page, a program 401."""
    mounted, visit = _visit(http)
    return mounted.require_user(visit)


def unit_of_work(http: Request) -> Iterator[AuthRequest]:
    """Dependency for ``Depends(unit_of_work, scope="function")``: one transaction for a route.

    It commits before the response is sent, and rolls back if the route raises.
    """
    mounted, visit = _visit(http)
    with mounted.unit_of_work(visit) as request:
        yield request


CurrentUser = Annotated[User | None, Depends(current_user)]
RequiredUser = Annotated[User, Depends(login_required)]
UnitOfWork = Annotated[AuthRequest, Depends(unit_of_work, scope="function")]


def _visit(http: Request) -> tuple[Mounted, Any]:
    mounted: Mounted = http.scope[asgi.SCOPE_KEY]
    return mounted, mounted.visit(lambda: asgi.request_of(http.scope, native=http), http.scope)
