"""A FastAPI application for tests, whose routes use all that `authhost.web.fastapi` has."""

from typing import Any

from fastapi import FastAPI, HTTPException, WebSocket
from pydantic import BaseModel

from authhost.web.fastapi import CurrentUser, RequiredUser, UnitOfWork, mount
from authhost.web.starlette import current_user


class Credentials(BaseModel):
    email: str
    password: str


def build(host: Any) -> FastAPI:
    app = FastAPI()
    mount(app, host)

    @app.get("/user")
    def user(user: CurrentUser) -> dict[str, Any]:
        return {"email": user.email if user else None}

    @app.get("/twice")
    def twice(user: RequiredUser, same: CurrentUser) -> dict[str, Any]:
        return {"same": user is same}

    @app.post("/change")
    def change(user: RequiredUser) -> dict[str, Any]:
        return {"email": user.email}

    @app.post("/signup")
    def sign_up(request: UnitOfWork, given: Credentials) -> dict[str, Any]:
        result = host.account.signup(request, email=given.email, password=given.password)
        return {"authenticated": result.authenticated}

    @app.post("/signup-and-fail")
    def sign_up_and_fail(request: UnitOfWork, given: Credentials) -> None:
        host.account.signup(request, email=given.email, password=given.password)
        raise HTTPException(418)

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        user = await current_user(socket)
        await socket.send_json({"email": user.email if user else None})
        await socket.close()

    return app
