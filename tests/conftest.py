"""A host on a fresh database, a clock that tests move, and a plugin that records every hook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from authhost_hookspecs import hookimpl

from authhost import AuthHost
from authhost.testing import CHEAP_HASH, OTHER_PASSWORD, PASSWORD, Clock, Mailbox, RecordedHooks, open_host
from authhost.testing.database import empty_database, own_database

__all__ = ["OTHER_PASSWORD", "PASSWORD"]

# Projects of their own: their tests run in their folders, with their own dependencies.
collect_ignore = ["third_party"]

CHEAP = dict(CHEAP_HASH)


class Everything(RecordedHooks, Mailbox):
    """Records every notification, and takes every message."""

    def __init__(self) -> None:
        RecordedHooks.__init__(self)
        Mailbox.__init__(self)


class Recorder(RecordedHooks, Mailbox):
    """Records every signal and refusal with its arguments, and takes every message."""

    account_ready = social_login_begun = password_reset_requested = None
    session_ended = user_deactivated = user_reauthenticated = None
    user_deleted = user_reactivated = password_reset_required = None
    factors_removed = account_recovered = impersonation_started = impersonation_ended = None

    def __init__(self) -> None:
        RecordedHooks.__init__(self)
        Mailbox.__init__(self)


DEPENDS_ON_DATABASE = frozenset(
    {
        # The core: statements, locks, transactions, migrations, collations.
        "test_account_changes",
        "test_admin_list",
        "test_administration",
        "test_command_line",
        "test_concurrency",
        "test_crash",
        "test_enumeration",
        "test_host",
        "test_impersonation",
        "test_kept_tables",
        "test_key_rotation",
        "test_keys_under_load",
        "test_login_steps",
        "test_nested_rollback",
        "test_order",
        "test_pending_logins",
        "test_plugin_blocks",
        "test_plugin_signup",
        "test_recovery",
        "test_remove_factors",
        "test_round_trips",
        "test_sessions",
        "test_social_tokens",
        "test_statements",
        "test_transaction",
        "test_upgrade",
        # The plugins.
        "test_attempts",
        "test_mailbox_codes",
        "test_bit_flips",
        "test_clocks",
        "test_events",
        "test_encrypted_links",
        "test_erasure",
        "test_outbox",
        "test_personal_data",
        "test_processes",
        "test_races",
        "test_records",
        "test_retention",
        "test_rollup",
        "test_sealing",
    }
)
"""The modules that run on a server, too. ``nox -t all`` runs all others that touch a database."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a server's database only the tests run that depend on it: the others have been run on SQLite."""
    if not os.environ.get("AUTHHOST_TEST_DATABASE_URL"):
        return
    everywhere = os.environ.get("AUTHHOST_TEST_EVERYWHERE")
    chosen = [
        item
        for item in items
        if {"database_url", "make_host", "auth_host"} & set(getattr(item, "fixturenames", ()))
        and (everywhere or item.path.stem in DEPENDS_ON_DATABASE)
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """SQLite, or the server that AUTHHOST_TEST_DATABASE_URL names (its database is emptied)."""
    url = os.environ.get("AUTHHOST_TEST_DATABASE_URL")
    if url:
        return empty_database(url)
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A database of a Redis server that is emptied; each process of the tests has one of its own."""
    redis = pytest.importorskip("redis")
    server = os.environ.get("AUTHHOST_TEST_REDIS_URL", "redis://127.0.0.1:6379")
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    url = f"{server}/{number}"
    client = redis.Redis.from_url(url, socket_connect_timeout=1)
    try:
        client.flushdb()
    except redis.ConnectionError:
        pytest.skip(f"SKIPPED: no Redis at {server}; set AUTHHOST_TEST_REDIS_URL to run this")
    yield url
    client.flushdb()


@pytest.fixture
def make_host(
    request: pytest.FixtureRequest, tmp_path: Any, clock: Clock, recorder: Recorder
) -> Iterator[Callable[..., AuthHost]]:
    """Opens hosts. Where no test or fixture names `database_url`, the first host empties the database."""
    server = os.environ.get("AUTHHOST_TEST_DATABASE_URL")
    if server and "database_url" not in request.fixturenames:
        database_url, emptied = own_database(server), False
    else:
        database_url, emptied = request.getfixturevalue("database_url"), True
    hosts: list[AuthHost] = []

    def make(plugins: dict[str, object] | None = None, **settings: Any) -> AuthHost:
        url = settings.pop("database_url", database_url)
        empty = not emptied and url == database_url and not hosts
        all_plugins = {"recorder": recorder, **(plugins or {})}
        host = open_host(url, all_plugins, clock=clock, empty=empty, **settings)
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
