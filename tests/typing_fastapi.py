"""Types of `authhost.web.fastapi`. mypy checks this file; nothing runs it."""

from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Request as Http

from authhost import AuthHost, Settings, User
from authhost.request import Request
from authhost.web.fastapi import CurrentUser, RequiredUser, UnitOfWork, current_user, login_required, mount
from authhost.web.mounted import Mounted


def mounts(app: FastAPI, host: AuthHost, settings: Settings) -> None:
    assert_type(mount(app), Mounted)
    assert_type(mount(app, "authhost.toml"), Mounted)
    assert_type(mount(app, settings), Mounted)
    assert_type(mount(app, host, merge_openapi=False), Mounted)
    mount(app, 5)  # type: ignore[arg-type]


def dependencies(http: Http) -> None:
    assert_type(current_user(http), User | None)
    assert_type(login_required(http), User)


def home(user: CurrentUser) -> None:
    assert_type(user, User | None)


def me(user: RequiredUser, same: Annotated[User, Depends(login_required)]) -> None:
    assert_type(user, User)
    assert_type(same, User)


def change(request: UnitOfWork) -> None:
    assert_type(request, Request)
    assert_type(request.user, User | None)
