"""The engine, set up so that each database gives the guarantees that the flows rely on."""

from __future__ import annotations

import os
import select
import sqlite3
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import URL, Connection, Dialect, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from authhost.errors import ConfigurationError

BUSY_TIMEOUT_MS = 30_000
DEADLOCKS = frozenset({"40P01", "40001", 1213, 1205})
"""PostgreSQL's SQLSTATEs and MariaDB's codes: ended so that another transaction can go on."""
ENDING = 1213
"""MariaDB's code of a deadlock; unlike a lock that was waited for too long it ends the whole transaction."""
ENDED = "authhost_ended"
LAST_USED = "authhost_last_used"
COUNTS = "authhost_counts"
OWN_LEVEL = "authhost_own_level"
TRUSTED_SECONDS = 2.0
"""A connection that was used so recently is not tested before it is used again."""
READ_ONLY = "authhost_read"
TRANSACTION = "authhost_transaction"
"""Execution options of connections that begin no transaction, and of those of a `Transaction`."""
COMMITS_NOTHING = frozenset({"psycopg2", "psycopg2cffi"})
"""Drivers whose `commit` and `rollback` send nothing in autocommit mode."""
BEGIN = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED",
    "mysql": "START TRANSACTION",
    "mariadb": "START TRANSACTION",
}


def make_engine(url: str) -> Engine:
    """Return an engine for ``url``.

    SQLite: WAL, foreign keys, a busy time-out, and a write lock taken at the
    start of a transaction (a read transaction that turns into a write would
    fail at once when another write came between). Elsewhere READ COMMITTED, so
    that a conditional UPDATE sees what has been committed.

    The connections are in autocommit mode, and a transaction begins with a
    statement of its own: so a read with `reading` is one round trip. Raises
    `ConfigurationError` for a URL that cannot serve.

    No connection creates an SQLite file: it raises `ConfigurationError` where
    there is none. `create_sqlite_file` makes it. A file that may only be read
    is opened for reading.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "database_url is no SQLAlchemy URL, such as sqlite:///site.sqlite3"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        try:
            server = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=20, hide_parameters=True)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise ConfigurationError(
                f"database_url: the driver of {parsed.drivername} is not installed; "
                "`pip install authhost[postgresql]` brings that of postgresql+psycopg, "
                "`pip install authhost[mariadb]` that of mariadb+pymysql"
            ) from error
        _begin_by_statement(server)
        if server.dialect.name != "postgresql":
            _read_what_is_committed(server)
        _test_idle_connections(server)
        _watch_deadlocks(server)
        return server
    if parsed.database in (None, "", ":memory:") or parsed.query.get("mode") == "memory":
        raise ConfigurationError(
            "SQLite in memory cannot be shared by threads; name a file, such as sqlite:///authhost.sqlite3"
        )
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "do_connect")
    def on_do_connect(
        dialect: Dialect, record: ConnectionPoolEntry, arguments: list[Any], parameters: dict[str, Any]
    ) -> Any:
        return _open_sqlite(dialect, arguments[0], parameters)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if connection.execute("PRAGMA schema_version").fetchone() != (0,):  # else looking would write to it
            with suppress(sqlite3.OperationalError):  # it may only be read
                connection.execute("PRAGMA journal_mode=WAL")
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    _begin_by_statement(engine)
    return engine


def _begin_by_statement(engine: Engine) -> None:
    """Begin each transaction with a statement, at the isolation level that the flows rely on.

    Where somebody asks for an isolation level of their own, the driver begins
    the transaction, or none where they ask for autocommit.
    """
    begin = BEGIN.get(engine.dialect.name, "BEGIN")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not (options.get(READ_ONLY) or options.get(TRANSACTION) or _has_own_level(connection)):
            connection.exec_driver_sql(begin)

    if engine.dialect.driver in COMMITS_NOTHING:
        _end_transactions(engine)


def _has_own_level(connection: Connection) -> bool:
    """Whether a connection has an isolation level of its own, so that the driver begins its transactions."""
    return connection.dialect.name != "sqlite" and "isolation_level" in connection.get_execution_options()


def _end_transactions(engine: Engine) -> None:
    """End transactions by statements: in autocommit mode the driver's own methods would send nothing."""

    def end(connection: Connection, sql: str) -> None:
        if not _has_own_level(connection):
            driver: Any = connection.connection
            with driver.cursor() as cursor:
                cursor.execute(sql)

    @event.listens_for(engine, "commit")
    def on_commit(connection: Connection) -> None:
        end(connection, "COMMIT")

    @event.listens_for(engine, "rollback")
    def on_rollback(connection: Connection) -> None:
        if not connection.closed and not connection.invalidated:
            end(connection, "ROLLBACK")


def reading(engine: Engine) -> Engine:
    """The same engine for reading only: its connections begin no transaction and take no lock."""
    return engine.execution_options(**{READ_ONLY: True})


def _read_what_is_committed(engine: Engine) -> None:
    """Set the level of each connection of MariaDB, and again after somebody has asked for another one.

    SQLAlchemy resets such a connection to autocommit mode, and leaves the level as it is.
    """

    def set_level(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        set_level(connection)

    @event.listens_for(engine, "engine_connect")
    def on_engine_connect(connection: Connection) -> None:
        if _has_own_level(connection):
            connection.info[OWN_LEVEL] = True

    @event.listens_for(engine, "set_connection_execution_options")
    def on_options(connection: Connection, options: dict[str, Any]) -> None:
        if "isolation_level" in options:
            connection.info[OWN_LEVEL] = True

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
        if not record.info.pop(OWN_LEVEL, False):
            return
        try:
            set_level(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server has closed the connection") from error


def _test_idle_connections(engine: Engine) -> None:
    """Test a connection before use if it was idle, or if its server has closed it or said something.

    A test costs a round trip, so SQLAlchemy's ``pool_pre_ping``, which tests at
    every checkout, would double the price of a read.
    """

    @event.listens_for(engine, "checkin")
    def on_checkin(connection: object, record: ConnectionPoolEntry) -> None:
        record.info[LAST_USED] = monotonic()

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
        used = record.info.get(LAST_USED)
        if used is None or (monotonic() - used < TRUSTED_SECONDS and not _has_input(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server has closed the connection") from error


def is_prepared_now(connection: Any, sql: str) -> bool:
    """Count a statement of a pooled connection of psycopg; return whether psycopg prepares it this time.

    It does so once the statement has run ``prepare_threshold`` times, and spends
    a round trip on it unless the statement runs in a pipeline.
    """
    threshold = connection.driver_connection.prepare_threshold
    if threshold is None:
        return False
    counts: dict[str, int] = connection.info.setdefault(COUNTS, {})
    counts[sql] = count = counts.get(sql, 0) + 1
    return bool(count == threshold + 1)


def forget_counts(connection: Any) -> None:
    """Begin to count anew: psycopg drops its prepared statements with a rollback."""
    connection.info.pop(COUNTS, None)


def _has_input(connection: Any) -> bool:
    """Whether the server has sent something unasked, such as the end of the connection."""
    of_pymysql = getattr(connection, "_sock", None)
    fileno = getattr(connection, "fileno", None) or getattr(of_pymysql, "fileno", None)
    if fileno is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(fileno(), select.POLLIN)
    except Exception:  # a connection that is closed has no descriptor
        return True
    return bool(poll.poll(0))


def shown_database(url: str) -> str:
    """Return what people may read of a database URL: no password, no options; of SQLite the whole path.

    Raises nothing: what is no URL is not shown.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "a database_url that is no URL"
    file = _file_of(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    return str(file) if file is not None else parsed.set(query={}).render_as_string(hide_password=True)


def create_sqlite_file(url: URL) -> None:
    """Create the file of an SQLite database, empty; nothing happens where it exists, or elsewhere.

    Raises `ConfigurationError` where its folder is missing or may not be written.
    """
    if url.get_backend_name() != "sqlite" or url.query.get("mode") in ("ro", "rw"):
        return
    file = _file_of(url.database or "")
    if file.exists():
        return
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"there is no folder {file.parent} for the database; make it, or correct database_url"
        )
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be created: {error.strerror}") from error


def _file_of(name: str) -> Path:
    """The file of what SQLite is given: a path or a ``file:`` URI."""
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return Path(name).absolute()


def _open_sqlite(dialect: Dialect, name: str, parameters: dict[str, Any]) -> Any:
    """Connect to a file that exists.

    One in WAL mode cannot be read in a folder that may only be read, since its
    index is a file beside it; SQLite reads it as ``immutable``, which is right
    as long as nobody has it open for writing: then the index is there.
    """
    file = _file_of(name)
    if not os.path.exists(file):  # unlike Path.exists, False also where the folder may not be entered
        raise ConfigurationError(
            f"there is no database file {file}; run `authhost db upgrade` to create it, "
            "or correct database_url"
        )
    connection: Any = dialect.connect(name, **parameters)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        unreadable = error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))
        if not unreadable or Path(f"{file}-wal").exists():
            raise
        connection.close()
        uri = f"file:{quote(str(file))}?mode=ro&immutable=1"
        connection = dialect.connect(uri, **{**parameters, "uri": True})
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ConfigurationError(f"{file} is no SQLite database ({error}); correct database_url") from error
    return connection


def is_deadlock(error: BaseException | None) -> bool:
    """Whether the database ended this transaction in favour of another; it may be tried again.

    MariaDB ends the savepoints along with it: what comes up then is that there
    is no such savepoint, with the deadlock as its context.
    """
    while error is not None:
        if isinstance(error, DBAPIError) and _codes(error) & DEADLOCKS:
            return True
        error = error.__cause__ or error.__context__
    return False


def was_ended(connection: Connection) -> bool:
    """Whether a deadlock has ended the transaction, whoever has caught the error since.

    MariaDB goes on as if nothing had happened; PostgreSQL refuses to commit.
    """
    return ENDED in connection.info


def _codes(error: DBAPIError) -> set[object]:
    """The SQLSTATE, and the number that some drivers put first; pg8000 puts all it knows there."""
    code = next(iter(getattr(error.orig, "args", ())), None)
    if isinstance(code, dict):
        code = code.get("C")
    return {getattr(error.orig, "sqlstate", None), code if isinstance(code, int | str) else None}


def _watch_deadlocks(engine: Engine) -> None:
    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.connection is not None and isinstance(error, DBAPIError) and ENDING in _codes(error):
            context.connection.info[ENDED] = True

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        record.info.pop(ENDED, None)
