"""Rows as dictionaries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select


def all_rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    """All that ``statement`` finds."""
    return [row._asdict() for row in connection.execute(statement)]


def first_row(connection: Connection, statement: Select[Any]) -> dict[str, Any] | None:
    """The first, or None."""
    row = connection.execute(statement).first()
    return row._asdict() if row is not None else None
