"""fastapi-users through its JSON routes, with tokens in the database.

Its signup does not log in, its password change neither asks for the old one
nor ends other sessions, and an account has one address.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import Depends, FastAPI, Request
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.password import PasswordHelperProtocol
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from httpx import ASGITransport, AsyncClient
from measure import OTHER_PASSWORD, PASSWORD, SESSION_CHECK, SQLITE_PRAGMAS, Flows, Laps, main
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of the models."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """An account."""


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A token of a login."""


class CheapHelper(PasswordHelperProtocol):
    """One salted SHA-1."""

    def hash(self, password: str, salt: str | None = None) -> str:
        salt = salt or secrets.token_hex(8)
        return f"{salt}${hashlib.sha1((salt + password).encode()).hexdigest()}"

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        again = self.hash(plain_password, hashed_password.partition("$")[0])
        return secrets.compare_digest(again, hashed_password), None

    def generate(self) -> str:
        return secrets.token_urlsafe()


class Manager(UUIDIDMixin, BaseUserManager[User, UUID]):
    """Asks for a confirmation after a signup, whose mail is dropped."""

    reset_password_token_secret = "k" * 48
    verification_token_secret = "k" * 48

    async def on_after_register(self, user: User, request: Request | None = None) -> None:
        await self.request_verify(user, request)


def make_app(engine: AsyncEngine, helper: PasswordHelperProtocol) -> FastAPI:
    """An application with the routers of login, registration and users."""
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def get_manager(session: AsyncSession = Depends(get_session)) -> AsyncIterator[Manager]:  # noqa: B008
        yield Manager(SQLAlchemyUserDatabase(session, User), helper)

    def get_strategy(session: AsyncSession = Depends(get_session)) -> DatabaseStrategy[Any, Any, Any]:  # noqa: B008
        return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, AccessToken), lifetime_seconds=86400)

    backend = AuthenticationBackend("token", BearerTransport("login"), get_strategy)
    users = FastAPIUsers[User, UUID](get_manager, [backend])
    app = FastAPI()
    app.include_router(users.get_auth_router(backend))
    app.include_router(users.get_register_router(schemas.BaseUser[UUID], schemas.BaseUserCreate))
    app.include_router(
        users.get_users_router(schemas.BaseUser[UUID], schemas.BaseUserUpdate), prefix="/users"
    )

    @app.post("/empty", status_code=204)
    async def empty() -> None:
        """Do nothing."""

    return app


def make_engine(url: str) -> AsyncEngine:
    """An engine with the asynchronous driver of the database."""
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", set_pragmas)
    return engine


def prepare(url: str) -> Flows:
    """An application on its own event loop."""
    engine = make_engine(url)
    runner = asyncio.Runner()

    async def create_tables() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    runner.run(create_tables())
    client = AsyncClient(
        transport=ASGITransport(make_app(engine, CheapHelper())), base_url="http://localhost"
    )
    return lambda laps, email: runner.run(all_flows(client, laps, email))


def set_pragmas(connection: Any, record: object) -> None:
    """Set a new SQLite connection up."""
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def all_flows(client: AsyncClient, laps: Laps, email: str) -> None:
    """Take an account through all flows."""

    async def send(method: str, to: str, token: str = "", **content: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await client.request(method, to, headers=headers, **content)
        assert response.is_success, (to, response.status_code, response.text)
        return response.json() if response.content else None

    with laps.lap("empty_request"):
        await send("POST", "/empty")
    with laps.lap("signup"):
        await send("POST", "/register", json={"email": email, "password": PASSWORD})
    with laps.lap("login"):
        found = await send("POST", "/login", data={"username": email, "password": PASSWORD})
    token = found["access_token"]
    with laps.lap(SESSION_CHECK):
        assert (await send("GET", "/users/me", token))["email"] == email
    with laps.lap("change_password"):
        await send("PATCH", "/users/me", token, json={"password": OTHER_PASSWORD})
    with laps.lap("logout"):
        await send("POST", "/logout", token)


if __name__ == "__main__":
    main(prepare, "fastapi-users")
