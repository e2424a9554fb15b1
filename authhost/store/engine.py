"""The engine, set up so that each database keeps what the flows count on."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import URL, Connection, Dialect, Engine, ExceptionContext, create_engine, event, make_url
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

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("authhost_read"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading(engine: Engine) -> Engine:
    """The same engine for reading alone: no write lock on SQLite, no transaction elsewhere."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(authhost_read=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


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
