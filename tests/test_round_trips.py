"""How many statements and round trips each flow may take, with the plugins of this repository.

Nobody has a second factor: authhost-mfa costs them nothing.

A round trip is counted on the wire, by a proxy. Only psycopg sends several
statements in one; with other drivers each statement is a round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import pytest
from conftest import OTHER_PASSWORD, PASSWORD
from sqlalchemy import event
from wire import Wire

from authhost import AuthHost, Settings
from authhost.testing import CHEAP_HASH, open_host

ANN, OTHER = "ann@example.org", "ann@example.net"
WARM_UP = 8
"""psycopg prepares a statement when a connection runs it for the sixth time."""


class Budget(NamedTuple):
    """The most that one call of a flow may take, BEGIN and COMMIT included."""

    statements: int
    round_trips: int


BUDGETS = {
    "session check": Budget(1, 1),
    "signup": Budget(23, 4),
    "login": Budget(10, 3),
    "login again": Budget(13, 4),
    "reauthenticate": Budget(9, 4),
    "change_password": Budget(17, 5),
    "add_email": Budget(16, 4),
    "remove_email": Budget(15, 5),
    "request_password_reset": Budget(11, 4),
    "logout": Budget(8, 3),
}
GOALS = {
    "session check": 1,
    "signup": 5,
    "login": 4,
    "change_password": 5,
    "add_email": 5,
    "logout": 3,
}
"""The round trips that the design asks for."""


class Counter:
    """The statements and round trips of one flow."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.wire: Wire | None = None

    def reset(self) -> None:
        self.sql.clear()
        if self.wire is not None:
            self.wire.reset()

    def found(self) -> tuple[Budget, str]:
        if self.wire is not None:
            # On MariaDB the pool ends each use of a connection with a ROLLBACK.
            statements = [each for each in self.wire.statements if each != "ROLLBACK"]
            return Budget(len(statements), self.wire.count), str(self.wire)
        # SQLite reports a statement again for each table that its ON DELETE CASCADE reaches.
        statements = [sql for sql, _ in groupby(self.sql)]
        return Budget(len(statements), 0), "\n".join(statements)


@pytest.fixture
def counter(database_url: str) -> Iterator[Counter]:
    found = Counter()
    if database_url.startswith("sqlite"):
        yield found
        return
    with Wire(database_url) as found.wire:
        yield found


@pytest.fixture
def host(database_url: str, counter: Counter, clock: Any) -> Iterator[AuthHost]:
    """A host with all plugins that are installed, and no thread of theirs."""
    open_host(database_url, {}, clock=clock, discover=True, email_verification="none").close()
    url = counter.wire.url if counter.wire is not None else database_url
    settings = Settings(
        database_url=url,
        secret_key="of-the-tests-" * 4,
        rate_limits=False,
        password_hash_options=CHEAP_HASH,
        email_verification="optional",
    )
    with AuthHost(settings, clock=clock, background=False) as host:
        loaded = {record.name for record in host.registry.loaded()}
        assert {"audit", "email", "analytics", "mfa"} <= loaded
        if counter.wire is None:
            host.engine.dispose()  # else the pool would hand out a connection that was opened before

            @event.listens_for(host.reader, "connect")
            def on_connect(connection: Any, record: object) -> None:
                connection.set_trace_callback(counter.sql.append)

        yield host


def flows(host: AuthHost, measure: Callable[[str], None], email: str, other: str) -> None:
    """Run each flow once in a unit of its own; ``measure`` is called after each with its name."""
    account = host.account

    def unit(name: str, token: str | None, call: Callable[[Any], Any]) -> Any:
        measure("")
        with host.request(ip_address="203.0.113.7", user_agent="test", session_token=token) as request:
            result = call(request)
        measure(name)
        return getattr(result, "session_token", None) or token

    token = unit("signup", None, lambda r: account.signup(r, email=email, password=PASSWORD))
    unit("logout", token, account.logout)
    token = unit("login", None, lambda r: account.login(r, identifier=email, password=PASSWORD))
    token = unit("login again", token, lambda r: account.login(r, identifier=email, password=PASSWORD))
    unit("session check", token, lambda r: r.user)
    token = unit("reauthenticate", token, lambda r: account.reauthenticate(r, password=PASSWORD))
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    token = unit("change_password", token, lambda r: account.change_password(r, **change))
    unit("add_email", token, lambda r: account.add_email(r, email=other))
    unit("remove_email", token, lambda r: account.remove_email(r, email=other))
    unit("request_password_reset", None, lambda r: account.request_password_reset(r, email=email))


def test_no_flow_exceeds_its_budget(host: AuthHost, counter: Counter) -> None:
    for number in range(WARM_UP):
        flows(host, lambda name: None, f"{number}-{ANN}", f"{number}-{OTHER}")
    found: dict[str, tuple[Budget, str]] = {}

    def measure(name: str) -> None:
        found[name] = counter.found()
        counter.reset()

    flows(host, measure, ANN, OTHER)
    del found[""]
    assert found.keys() == BUDGETS.keys()
    pipelined = host.engine.dialect.driver == "psycopg"
    for name, (used, shown) in found.items():
        assert used.statements, f"{name}: no statement was counted"
        assert used.statements <= BUDGETS[name].statements, f"{name}: {shown}"
        if pipelined:
            assert used.round_trips <= BUDGETS[name].round_trips, f"{name}: {shown}"


def test_the_budgets_reach_the_goals() -> None:
    assert {
        name: BUDGETS[name].round_trips for name in GOALS if BUDGETS[name].round_trips > GOALS[name]
    } == {}
