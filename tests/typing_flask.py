"""Types of `authhost.web.flask`. mypy checks this file; nothing runs it."""

from typing import assert_type

from flask import Flask

from authhost import User
from authhost.request import Request
from authhost.web.flask import AuthHostExtension, current_user, login_required, mount, unit_of_work
from authhost.web.mounted import Mounted


def mounts(app: Flask) -> None:
    assert_type(mount(app, "authhost.toml"), Mounted)
    AuthHostExtension(source="authhost.toml").init_app(app)


@login_required
def me(number: int) -> str:
    assert_type(current_user(), User | None)
    with unit_of_work() as request:
        assert_type(request, Request)
    return str(number)


assert_type(me(5), str)
