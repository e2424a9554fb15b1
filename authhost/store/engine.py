"""Creates the engine, so that each database gives the guarantees that the flows rely on."""

from __future__ import annotations

import select
from time import monotonic
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from authhost.errors import ConfigurationError
from authhost.store.sqlite import make_sqlite_engine, sqlite_file

DEADLOCKS = frozenset({"40P01", "40001", 1213, 1205})
"""The SQLSTATEs of PostgreSQL and the codes of MariaDB for a transaction that may be tried again."""
MARIADB_DEADLOCK = 1213
"""MariaDB rolls back the whole transaction, in contrast to a lock wait timeout (1205)."""
ENDED = "authhost_ended"
LAST_USED = "authhost_last_used"
COUNTS = "authhost_counts"
OWN_LEVEL = "authhost_own_level"
TRUSTED_SECONDS = 2.0
"""A connection that was used within this time is not tested before it is used again."""
READ_ONLY = "authhost_read"
"""The execution option of connections that begin no transaction."""
TRANSACTION = "authhost_transaction"
"""The execution option of a connection that belongs to a `Transaction`."""
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

    SQLite has WAL mode, foreign keys and a busy timeout. A transaction takes the
    write lock when it begins, because a read transaction that starts to write would
    fail at once if another process has written in between. Servers have READ
    COMMITTED, so that a conditional UPDATE sees what has been committed.

    The connections are in autocommit mode, and a transaction begins with a
    statement. So a read with `reading` is one round trip.

    A connection does not create an SQLite file: it raises `ConfigurationError` if
    there is none. `create_sqlite_file` creates it. A read-only file is opened for
    reading. Raises `ConfigurationError` for a URL that cannot be used.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "database_url is no SQLAlchemy URL, such as sqlite:///site.sqlite3"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return _make_server_engine(parsed)
    engine = make_sqlite_engine(parsed)
    _begin_by_statement(engine)
    return engine


def _make_server_engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=20, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"database_url: the driver of {url.drivername} is not installed; "
            "`pip install authhost[postgresql]` brings that of postgresql+psycopg, "
            "`pip install authhost[mariadb]` that of mariadb+pymysql"
        ) from error
    _begin_by_statement(engine)
    if engine.dialect.name != "postgresql":
        _set_read_committed(engine)
    _test_idle_connections(engine)
    _watch_deadlocks(engine)
    return engine


def _begin_by_statement(engine: Engine) -> None:
    """Begin each transaction with a statement, at the isolation level that the flows rely on.

    For a connection with another ``isolation_level``, the driver begins the
    transaction, and none with autocommit.
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
    """Return whether an application or a plugin has set the isolation level: then the driver begins."""
    return connection.dialect.name != "sqlite" and "isolation_level" in connection.get_execution_options()


def _end_transactions(engine: Engine) -> None:
    """End transactions with statements: in autocommit mode the driver's methods would send nothing."""

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
    """Return the same engine for reading: its connections begin no transaction and take no lock."""
    return engine.execution_options(**{READ_ONLY: True})


def _set_read_committed(engine: Engine) -> None:
    """Set the level of each connection to MariaDB, and again after a use with another level.

    SQLAlchemy resets such a connection to autocommit mode, but does not reset its level.
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
    """Test a connection before use if it was idle, or if its server has closed it or sent something.

    A test costs a round trip: SQLAlchemy's ``pool_pre_ping``, which tests at every
    checkout, would double the time of a read.
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
    """Count a statement on a connection of psycopg; return whether psycopg prepares it this time.

    psycopg prepares a statement after it has run ``prepare_threshold`` times. That
    takes another round trip, unless the statement runs in a pipeline.
    """
    threshold = connection.driver_connection.prepare_threshold
    if threshold is None:
        return False
    counts: dict[str, int] = connection.info.setdefault(COUNTS, {})
    counts[sql] = count = counts.get(sql, 0) + 1
    return bool(count == threshold + 1)


def forget_counts(connection: Any) -> None:
    """Count from zero again: psycopg drops its prepared statements at a rollback."""
    connection.info.pop(COUNTS, None)


def _has_input(connection: Any) -> bool:
    """Return whether the server has sent something unrequested, such as the end of the connection."""
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
    """Return a database URL for messages: without password and options, or the full path for SQLite.

    Raises nothing: a text that is not a URL is not shown.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "a database_url that is no URL"
    file = sqlite_file(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    return str(file) if file is not None else parsed.set(query={}).render_as_string(hide_password=True)


def is_deadlock(error: BaseException | None) -> bool:
    """Return whether the database ended the transaction because of a deadlock, so that it may be tried again.

    MariaDB drops the savepoints, too. Then the error says that a savepoint does not
    exist, and the deadlock is its context.
    """
    seen = set[int]()  # the error of a sent statement is raised repeatedly, and can be its own context
    while error is not None and id(error) not in seen:
        if isinstance(error, DBAPIError) and _codes(error) & DEADLOCKS:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def has_ended(driver: Any) -> bool:
    """Return whether a connection of the driver is known to be in no transaction."""
    if hasattr(driver, "in_transaction"):  # sqlite3
        return not driver.in_transaction
    status = getattr(driver, "server_status", None)  # PyMySQL; the bit is SERVER_STATUS_IN_TRANS
    return isinstance(status, int) and not status & 1


def was_ended(connection: Connection) -> bool:
    """Return whether a deadlock has ended the transaction, also if a plugin has caught the error.

    MariaDB would accept further statements; PostgreSQL refuses to commit.
    """
    return ENDED in connection.info


def _codes(error: DBAPIError) -> set[object]:
    """Return the SQLSTATE, and the code that some drivers put first. pg8000 puts a dict there."""
    code = next(iter(getattr(error.orig, "args", ())), None)
    if isinstance(code, dict):
        code = code.get("C")
    return {getattr(error.orig, "sqlstate", None), code if isinstance(code, int | str) else None}


def _watch_deadlocks(engine: Engine) -> None:
    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error, connection = context.sqlalchemy_exception, context.connection
        if connection is not None and isinstance(error, DBAPIError) and MARIADB_DEADLOCK in _codes(error):
            connection.info[ENDED] = True

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        record.info.pop(ENDED, None)
