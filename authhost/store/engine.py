"""The engine, set up so that each database keeps what the flows count on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from authhost.errors import ConfigurationError

BUSY_TIMEOUT_MS = 30_000
DEADLOCKS = frozenset({"40P01", "40001", 1213, 1205})
"""PostgreSQL's SQLSTATEs and MariaDB's codes: ended so that another transaction can go on."""
ENDING = 1213
"""MariaDB's code of a deadlock; unlike a lock that was waited for too long it ends the whole transaction."""
ENDED = "authhost_ended"


def make_engine(url: str) -> Engine:
    """Return an engine for ``url``.

    SQLite: WAL, foreign keys, a busy time-out, and a write lock taken at the
    start of a transaction (a read transaction that turns into a write would
    fail at once when another write came between). Elsewhere READ COMMITTED, so
    that a conditional UPDATE sees what has been committed. Raises
    `ConfigurationError` for a URL that cannot serve.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "database_url is no SQLAlchemy URL, such as sqlite:///site.sqlite3"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        try:
            server = create_engine(
                url, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_size=20, hide_parameters=True
            )
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise ConfigurationError(
                f"database_url: the driver of {parsed.drivername} is not installed; "
                "`pip install authhost[postgresql]` brings that of postgresql+psycopg, "
                "`pip install authhost[mariadb]` that of mariadb+pymysql"
            ) from error
        _watch_deadlocks(server)
        return server
    if parsed.database in (None, "", ":memory:") or parsed.query.get("mode") == "memory":
        raise ConfigurationError(
            "SQLite in memory cannot be shared by threads; name a file, such as sqlite:///authhost.sqlite3"
        )
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("authhost_read"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


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
    """The SQLSTATE, and the number that some drivers put first."""
    return {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}


def _watch_deadlocks(engine: Engine) -> None:
    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.connection is not None and isinstance(error, DBAPIError) and ENDING in _codes(error):
            context.connection.info[ENDED] = True

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        record.info.pop(ENDED, None)
