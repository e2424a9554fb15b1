"""A lock, so that one process upgrades a database while the others wait."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from authhost.store.engine import reading
from authhost.store.sqlite import BUSY_TIMEOUT_MS

NAME = "authhost.upgrade"
KEY = int.from_bytes(hashlib.sha256(NAME.encode()).digest()[:8], signed=True)
"""The number of the advisory lock on PostgreSQL: 64 bits, separate for each database."""
STEP_MS = 1000
"""How long SQLite waits before Ctrl-C can interrupt it."""
STEP_SECONDS = 60


@contextmanager
def locked(engine: Engine, waiting: Callable[[], None]) -> Iterator[Connection]:
    """Take the lock; yield a connection with an open transaction.

    ``waiting`` is called once if another process holds the lock. The transaction is
    committed at the end, and rolled back if the block raises.
    """
    kind = engine.dialect.name
    lock = {"sqlite": _lock_sqlite, "postgresql": _lock_postgresql}.get(kind)
    if lock is None:
        with engine.connect() as connection, _mariadb_lock(connection, waiting):
            yield connection
            connection.commit()
        return
    # On SQLite, taking the lock begins the transaction.
    with (reading(engine) if kind == "sqlite" else engine).begin() as connection:
        lock(connection, waiting)
        yield connection


def _lock_postgresql(connection: Connection, waiting: Callable[[], None]) -> None:
    """Take an advisory lock that ends with the transaction, so that it also works with a pooler."""
    key = {"key": KEY}
    for setting in ("lock_timeout", "statement_timeout"):
        connection.execute(text(f"SET LOCAL {setting} = 0"))
    if not connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), key).scalar_one():
        waiting()
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)


@contextmanager
def _mariadb_lock(connection: Connection, waiting: Callable[[], None]) -> Iterator[None]:
    """Take a named lock of the session: DDL commits, and would end a lock of the transaction."""
    database = connection.execute(text("SELECT DATABASE()")).scalar_one()
    # A name is valid for the whole server, and has at most 64 characters.
    name = f"{NAME}.{hashlib.sha256(str(database).encode()).hexdigest()[:32]}"
    take = text("SELECT GET_LOCK(:name, :seconds)")
    if connection.execute(take, {"name": name, "seconds": 0}).scalar() != 1:
        waiting()
        while connection.execute(take, {"name": name, "seconds": STEP_SECONDS}).scalar() != 1:
            pass
    connection.commit()  # later reads see what the other processes have written
    try:
        yield
    finally:
        with suppress(DBAPIError):  # a lost connection has no lock
            connection.rollback()
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
            connection.commit()


def _lock_sqlite(connection: Connection, waiting: Callable[[], None]) -> None:
    """Take the write lock, in WAL mode, so that others can still read."""
    reported = False
    connection.exec_driver_sql(f"PRAGMA busy_timeout={STEP_MS}")
    for statement in ("PRAGMA journal_mode=WAL", "BEGIN IMMEDIATE"):
        while True:
            try:
                connection.exec_driver_sql(statement)
                break
            except OperationalError as error:
                if not _is_busy(error.orig):
                    raise
            if not reported:
                waiting()
                reported = True
    connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname.startswith("SQLITE_BUSY")
