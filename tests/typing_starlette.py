"""Types of `authhost.web.starlette`. mypy checks this file; nothing runs it."""

from typing import assert_type

from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request as Http
from starlette.responses import Response

from authhost import User
from authhost.request import Request
from authhost.web.mounted import Mounted
from authhost.web.starlette import current_user, login_required, mount, unit_of_work
from authhost.web.starlette_backend import Backend


def mounts(app: Starlette) -> None:
    assert_type(mount(app, "authhost.toml"), Mounted)
    app.add_middleware(AuthenticationMiddleware, backend=Backend())


@login_required
async def me(http: Http) -> Response:
    assert_type(await current_user(http), User | None)
    async with unit_of_work(http) as request:
        assert_type(request, Request)
    return Response()
