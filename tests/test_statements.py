"""How the statements of a unit of work are sent to the database, and how their errors are raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from authhost_hookspecs import hookimpl
from conftest import PASSWORD
from hypothesis import given, settings, strategies as st
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from authhost import AuthHost
from authhost.errors import RequiredPluginFailed
from authhost.store.database import Database
from authhost.store.sqlite import create_sqlite_file
from authhost.store.tables import UtcDateTime, sessions, users

ANN = "ann@example.org"
notes = Table(
    "test_note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(200), unique=True),
    Column("data", LargeBinary),
    Column("at", UtcDateTime()),
    Column("json", JSON),
)
defaults = Table(
    "test_default",
    notes.metadata,
    Column("id", Integer, primary_key=True),
    Column("made", Integer, default=lambda: 42),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    if database_url.startswith("sqlite"):
        create_sqlite_file(make_url(database_url))
    database = Database(database_url)
    notes.metadata.create_all(database.engine)
    yield database
    database.close()


def texts(database: Database) -> list[str]:
    return sorted(row.text for row in database.read(select(notes), {}))


def note(number: int, text: str = "") -> dict[str, Any]:
    return {"id": number, "text": text or f"note {number}"}


def test_a_sent_statement_runs_before_what_follows(database: Database) -> None:
    transaction = database.transaction()
    transaction.send(insert(notes), note(1))
    met = transaction.send(update(notes).where(notes.c.id == 1), {"text": "changed"})
    missed = transaction.send(update(notes).where(notes.c.id == 2), {"text": "nothing"})
    assert [row.text for row in transaction.execute(select(notes), {}).rows] == ["changed"]
    assert (met.rowcount, missed.rowcount) == (1, 0)
    transaction.commit()
    transaction.close()
    assert texts(database) == ["changed"]


def test_what_was_sent_and_not_committed_is_undone(database: Database) -> None:
    transaction = database.transaction()
    transaction.send(insert(notes), note(1))
    transaction.close()
    assert texts(database) == []


def test_a_savepoint_undoes_what_was_sent_since(database: Database) -> None:
    transaction = database.transaction()
    transaction.send(insert(notes), note(1))
    savepoint = transaction.savepoint()
    transaction.send(insert(notes), note(2))
    assert transaction.roll_back_to(savepoint)
    transaction.send(insert(notes), note(3))
    transaction.commit()
    transaction.close()
    assert texts(database) == ["note 1", "note 3"]


def test_the_error_of_a_sent_statement_fails_all_that_follow(database: Database) -> None:
    transaction = database.transaction()
    with pytest.raises(IntegrityError) as first:
        transaction.send(insert(notes), note(1))
        transaction.send(insert(notes), note(1))
        transaction.flush()
    if transaction.undoes_statements:  # a server that undoes the one statement lets the transaction go on
        transaction.close()
        return
    for _ in range(2):
        with pytest.raises(IntegrityError) as again:
            transaction.execute(select(notes), {})
        assert again.value.orig is first.value.orig
    with pytest.raises(IntegrityError):
        transaction.commit()
    transaction.close()
    assert texts(database) == []


def test_a_connection_serves_again_after_each_failure(database: Database) -> None:
    """psycopg counts statements as prepared that never reached the server because the batch had failed."""
    for number in range(20):
        transaction = database.transaction()
        transaction.send(insert(notes), note(2 * number))
        savepoint = transaction.savepoint()
        with pytest.raises(IntegrityError):
            transaction.send(insert(notes), note(2 * number))
            transaction.send(insert(notes), note(2 * number + 1))
            transaction.flush()
        assert transaction.roll_back_to(savepoint)
        assert len(transaction.execute(select(notes), {}).rows) == number + 1
        transaction.commit()
        transaction.close()
    assert len(texts(database)) == 20


@pytest.mark.parametrize("observe", [False, True])
def test_results_are_the_same_whoever_runs_the_statement(database: Database, observe: bool) -> None:
    """SQLAlchemy runs all statements while somebody listens to them."""
    seen: list[str] = []
    if observe:

        @event.listens_for(database.engine, "before_cursor_execute")
        def on_execute(_c: Connection, _cursor: Any, sql: str, *_: Any) -> None:
            seen.append(sql.split()[0])

    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    values = {**note(1, "100 % of {it}"), "data": b"\0\xff", "at": at, "json": {"a": [1, None]}}
    transaction = database.transaction()
    transaction.execute(insert(notes), values)
    changed = transaction.send(update(notes).where(notes.c.id == 1), {"id": 1})
    assert changed.rowcount == 1
    transaction.commit()
    transaction.close()
    (row,) = database.read(select(notes).where(notes.c.id == 1), {})
    assert (row.text, bytes(row.data), row.at, row.json) == (values["text"], b"\0\xff", at, values["json"])
    assert ("INSERT" in seen, "SELECT" in seen) == (observe, observe)


def test_a_default_that_python_makes_is_stored(database: Database) -> None:
    transaction = database.transaction()
    transaction.send(insert(defaults), {"id": 1})
    transaction.commit()
    transaction.close()
    assert [row.made for row in database.read(select(defaults), {})] == [42]


@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50),
    data=st.none() | st.binary(max_size=50),
    at=st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=30, deadline=None)
def test_any_value_comes_back(
    tmp_path_factory: Any, text: str, data: bytes | None, at: datetime | None
) -> None:
    file = tmp_path_factory.mktemp("values") / "values.sqlite3"
    file.touch()
    database = Database(f"sqlite:///{file}")
    notes.create(database.engine)
    transaction = database.transaction()
    transaction.send(insert(notes), {"id": 1, "text": text, "data": data, "at": at, "json": None})
    transaction.commit()
    transaction.close()
    (row,) = database.read(select(notes), {})
    assert (row.text, row.data, row.at) == (text, data, at)
    database.close()


def test_a_transaction_of_the_engine_can_be_rolled_back(database: Database) -> None:
    """The connections are in autocommit mode: each transaction begins with a statement."""
    with pytest.raises(ZeroDivisionError), database.engine.begin() as connection:
        connection.execute(insert(notes), note(1))
        raise ZeroDivisionError
    assert texts(database) == []


class Writer:
    """A plugin that writes through the session of the unit, in the first hook of a login."""

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write

    @hookimpl
    def user_logged_in(self, request: Any) -> None:
        self.write(request)


def test_the_error_of_a_flow_is_not_taken_for_the_plugins(
    make_host: Callable[..., AuthHost], run: Callable[..., Any], clock: Any
) -> None:
    """A statement of the flow may fail late, in a plugin's `request.db`. The flow fails with it."""
    if make_host().engine.dialect.driver != "psycopg":
        pytest.skip("other drivers run each statement at once")

    def write(request: Any) -> None:
        # As if the flow had sent a session that cannot be stored.
        request.caller, caller, depth, request.depth = None, request.caller, request.depth, 0
        request.send_statement(insert(sessions), {**sample, "id": uuid4(), "user_id": uuid4()})
        request.caller, request.depth = caller, depth
        request.db.execute(select(users)).all()

    host = make_host({"writer": Writer(write)}, email_verification="none")
    now = clock()
    sample = {
        "token_digest": b"x" * 32,
        "created_at": now,
        "authenticated_at": now,
        "last_seen_at": now,
        "expires_at": now + timedelta(days=1),
        "method": "password",
        "user_agent": "",
    }
    with pytest.raises(DBAPIError):
        run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        assert request.read(select(users), {}) == []
        assert request.read(select(sessions), {}) == []


class Ends:
    """A plugin that ends the transaction, which no plugin may."""

    @hookimpl
    def user_signed_up(self, request: Any) -> None:
        request.db.connection().exec_driver_sql("COMMIT")


class Fails:
    @hookimpl
    def user_logged_in(self, request: Any) -> None:
        raise ValueError


def test_what_follows_after_a_plugin_has_ended_the_transaction_is_one_transaction_again(
    make_host: Callable[..., AuthHost], run: Callable[..., Any]
) -> None:
    plugins = {"ends": Ends(), "fails": Fails()}
    host = make_host(plugins, required_plugins=("fails",), email_verification="none")
    with pytest.raises((RequiredPluginFailed, DBAPIError)):
        run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        assert request.read(select(sessions), {}) == []


def test_a_read_that_fails_raises_sqlalchemys_error_and_leaks_no_connection(database: Database) -> None:
    missing = Table("test_missing", MetaData(), Column("id", Integer))
    for _ in range(30):
        with pytest.raises(DBAPIError):
            database.read(select(missing), {})
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert texts(database) == []
