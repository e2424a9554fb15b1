"""The logged-in user for Starlette's ``AuthenticationMiddleware``."""

from __future__ import annotations

from starlette import authentication
from starlette.requests import HTTPConnection

from authhost.records import User
from authhost.web.problems import WebError
from authhost.web.starlette import current_user


class SiteUser(authentication.SimpleUser):
    """The logged-in user, as ``request.user`` of Starlette. ``record`` is authhost's."""

    def __init__(self, record: User) -> None:
        super().__init__(record.username or record.email or str(record.id))
        self.record = record

    @property
    def identity(self) -> str:
        return str(self.record.id)


class Backend(authentication.AuthenticationBackend):
    """For Starlette's ``AuthenticationMiddleware``: then ``@requires("authenticated")`` works."""

    async def authenticate(
        self, conn: HTTPConnection
    ) -> tuple[authentication.AuthCredentials, authentication.BaseUser] | None:
        try:
            user = await current_user(conn)
        except WebError as error:  # the middleware answers this one with 400
            raise authentication.AuthenticationError(str(error)) from error
        if user is None:
            return None
        return authentication.AuthCredentials(["authenticated"]), SiteUser(user)
