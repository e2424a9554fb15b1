"""Rows as dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authhost_hookspecs import Host
from sqlalchemy import Connection, Select


@contextmanager
def snapshot(host: Host) -> Iterator[Connection]:
    """The database as it is at one moment, however long the reading takes, and in nobody's way."""
    if host.engine.dialect.name == "sqlite":
        with host.reader.connect() as connection:
            yield connection
        return
    with host.engine.connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


def all_rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    """All that ``statement`` finds."""
    return [row._asdict() for row in connection.execute(statement)]


def first_row(connection: Connection, statement: Select[Any]) -> dict[str, Any] | None:
    """The first, or None."""
    row = connection.execute(statement).first()
    return row._asdict() if row is not None else None
