"""A host on a fresh database, a clock that tests move, and a plugin that records every hook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from authhost_hookspecs import Message, hookimpl
from sqlalchemy import create_engine, text

from authhost import AuthHost, Settings
from authhost.discovery import SPEC_ARGUMENTS

PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
CHEAP = {"argon2__time_cost": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1}
LIFECYCLE = {
    "host_started",
    "host_stopping",
    "deliver_message",
    "before_signup",
    "before_login",
    "account_ready",
    "social_login_begun",
}


class Recorder:
    """Takes every message, and records every notification with its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.messages: list[Message] = []

    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        self.messages.append(message)
        return True

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def key(self) -> str:
        key = self.messages[-1].key
        assert key is not None
        return key


def _record(name: str, arguments: tuple[str, ...]) -> Callable[..., None]:
    namespace: dict[str, Any] = {}
    pairs = ", ".join(f"{each}={each}" for each in arguments)
    exec(f"def {name}(self, {', '.join(arguments)}): self.calls.append(({name!r}, dict({pairs})))", namespace)
    function: Callable[..., None] = namespace[name]
    function.__module__ = __name__
    return hookimpl(function)


for _name, _arguments in SPEC_ARGUMENTS.items():
    if _name not in LIFECYCLE and not _name.startswith("register_"):
        setattr(Recorder, _name, _record(_name, _arguments))


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def _empty(url: str) -> None:
    """Drop what an earlier test left in a server's database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        else:
            names = connection.execute(text("SHOW TABLES")).scalars().all()
            connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
            for name in names:
                connection.execute(text(f"DROP TABLE `{name}`"))
    engine.dispose()


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """SQLite, or the server that AUTHHOST_TEST_DATABASE_URL names (its database is emptied)."""
    url = os.environ.get("AUTHHOST_TEST_DATABASE_URL")
    if url:
        _empty(url)
        return url
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def make_host(database_url: str, clock: Clock, recorder: Recorder) -> Iterator[Callable[..., AuthHost]]:
    hosts: list[AuthHost] = []

    def make(plugins: dict[str, object] | None = None, **settings: Any) -> AuthHost:
        given = {
            "secret_key": "k" * 48,
            "database_url": database_url,
            "rate_limits": False,
            "password_hash_options": CHEAP,
            **settings,
        }
        host = AuthHost(
            Settings(**given),
            plugins={"recorder": recorder, **(plugins or {})},
            discover=False,
            clock=clock,
            upgrade_database=True,
        )
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def run() -> Callable[..., Any]:
    """Run one flow in a unit of its own: ``run(host, "login", token, identifier=…)``."""

    def run(host: AuthHost, flow: str, token: str | None = None, /, **values: Any) -> Any:
        with host.request(session_token=token, ip_address="127.0.0.1") as request:
            return getattr(host.account, flow)(request, **values)

    return run


class Declares:
    """A plugin that brings providers."""

    def __init__(self, *declarations: Any) -> None:
        self.declarations = list(declarations)

    @hookimpl
    def register_providers(self) -> list[Any]:
        return self.declarations


@pytest.fixture(scope="session")
def openid() -> Iterator[Any]:
    """An OpenID Connect and OAuth 2.0 provider, in a process of its own."""
    from providers import openid_provider

    with openid_provider() as server:
        yield server


@pytest.fixture(scope="session")
def oauth1() -> Iterator[Any]:
    """An OAuth 1.0a provider."""
    from providers import OAuth1Server

    with OAuth1Server().running() as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[Any]:
    """An OpenID provider that lies when told to."""
    from providers import Scripted

    with Scripted().running() as server:
        yield server


@pytest.fixture
def arrive() -> Callable[..., Any]:
    """Go to a provider and come back: ``arrive(host, "corp", lambda url: …, token, process=…)``."""

    def arrive(
        host: AuthHost,
        provider: str,
        agree: Callable[[str], dict[str, str]],
        token: str | None = None,
        /,
        **values: Any,
    ) -> Any:
        with host.request(session_token=token, ip_address="127.0.0.1") as request:
            redirect = host.socialaccount.begin(request, provider, **values)
        params = agree(redirect.url)
        with host.request(session_token=token, ip_address="127.0.0.1") as request:
            return host.socialaccount.complete(
                request, provider, params=params, state_token=redirect.state_token
            )

    return arrive
