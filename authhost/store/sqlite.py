"""SQLite: its engine, and the file of its database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from authhost.errors import ConfigurationError

BUSY_TIMEOUT_MS = 30_000


def make_sqlite_engine(url: URL) -> Engine:
    """Return an engine whose connections begin no transaction themselves.

    Raises `ConfigurationError` for a database in memory.
    """
    if url.database in (None, "", ":memory:") or url.query.get("mode") == "memory":
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
        # Setting the WAL mode writes to an empty file, which a mere read must not do.
        if connection.execute("PRAGMA schema_version").fetchone() != (0,):
            with suppress(sqlite3.OperationalError):  # the file may be read-only
                connection.execute("PRAGMA journal_mode=WAL")
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def create_sqlite_file(url: URL) -> None:
    """Create the empty file of an SQLite database. Does nothing if it exists, or for another database.

    Raises `ConfigurationError` if the folder does not exist or is not writable.
    """
    if url.get_backend_name() != "sqlite" or url.query.get("mode") in ("ro", "rw"):
        return
    file = sqlite_file(url.database or "")
    if file.exists():
        return
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"there is no folder {file.parent} for the database; create it, or correct database_url"
        )
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be created: {error.strerror}") from error


def sqlite_file(name: str) -> Path:
    """Return the file that SQLite opens for ``name``, which is a path or a ``file:`` URI."""
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return Path(name).absolute()


def _open_sqlite(dialect: Dialect, name: str, parameters: dict[str, Any]) -> Any:
    """Connect to an existing file.

    SQLite cannot read a file in WAL mode if the folder is read-only, because it
    would have to create the index beside it. Such a file is opened as ``immutable``.
    That is safe while no process writes to the file, and then there is no index.
    """
    file = sqlite_file(name)
    if not os.path.exists(file):  # unlike Path.exists, also False if the folder may not be entered
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
