"""Helpers for reading: rows as dictionaries, and a connection with a consistent snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authhost_hookspecs import Host
from sqlalchemy import Connection, Select


@contextmanager
def snapshot(host: Host) -> Iterator[Connection]:
    """Yield a connection whose reads all see the database at the same point in time. It blocks no writer."""
    if host.engine.dialect.name == "sqlite":
        with host.reader.connect() as connection:
            yield connection
        return
    with host.engine.connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


def all_rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    """Return all rows of ``statement`` as dictionaries."""
    return [row._asdict() for row in connection.execute(statement)]


def first_row(connection: Connection, statement: Select[Any]) -> dict[str, Any] | None:
    """Return the first row of ``statement`` as a dictionary, or None."""
    row = connection.execute(statement).first()
    return row._asdict() if row is not None else None
