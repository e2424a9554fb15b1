"""A Starlette application for tests of attacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from authhost.web.starlette import current_user, login_required, mount, unit_of_work


def build(host: Any, middleware: Iterable[Middleware] = ()) -> Starlette:
    async def email(http: HTTPConnection) -> dict[str, Any]:
        found = await current_user(http)
        return {"email": found.email if found else None}

    async def user(http: Request) -> JSONResponse:
        return JSONResponse(await email(http))

    async def sign_up(http: Request) -> JSONResponse:
        values = await http.json()
        async with unit_of_work(http) as request:
            await to_thread.run_sync(lambda: host.account.signup(request, **values))
        return JSONResponse({})

    async def socket(socket: WebSocket) -> None:
        accepts_first = socket.path_params["accept"] == "first"
        if accepts_first:
            await socket.accept()
        value = await email(socket)
        if not accepts_first:
            await socket.accept()
        await socket.send_json(value)
        await socket.close()

    page = login_required(user)
    routes = [
        Route("/user", user, methods=["GET", "POST"]),
        Route("/signup", sign_up, methods=["POST"]),
        Route("/page", page),
        Mount("/sub", routes=[Route("/{rest:path}", page)]),
        WebSocketRoute("/socket/{accept}", socket),
    ]
    app = Starlette(routes=routes, middleware=list(middleware))
    mount(app, host)
    return app
