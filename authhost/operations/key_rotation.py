"""Encrypts all encrypted values of the host again, with the first key of ``encryption_keys``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, false, func, or_, select, update

from authhost.security.encryption import Undecipherable
from authhost.services import Services
from authhost.store.tables import SEALED, metadata

BATCH_SIZE = 500


def sealed_columns() -> list[Column[Any]]:
    """Return all encrypted columns of the host: those of the type `SEALED`.

    Each of their tables has one column as its primary key.
    """
    return [column for table in metadata.sorted_tables for column in table.columns if column.type is SEALED]


def count(services: Services) -> int:
    """Return the number of encrypted values."""
    with services.database.engine.connect() as connection:
        return sum(
            connection.execute(
                select(func.count()).select_from(column.table).where(column.is_not(None))
            ).scalar_one()
            for column in sealed_columns()
        )


def rotate(services: Services) -> Iterator[int]:
    """Encrypt all values with the first key; yield the size of each batch. Can be repeated.

    Does not change a value that another process replaces at the same time. Raises
    `authhost.security.encryption.Undecipherable` if a key is missing. Leaves expired values
    whose key is missing as they are.
    """
    for column in sealed_columns():
        yield from _rotate_column(services, column)


def _rotate_column(services: Services, column: Column[Any]) -> Iterator[int]:
    (key,) = column.table.primary_key
    expired = _expired(services, column)
    page = select(key, column, expired).where(column.is_not(None)).order_by(key).limit(BATCH_SIZE)
    last: Any = None
    while True:
        with services.database.engine.begin() as connection:
            rows = connection.execute(page if last is None else page.where(key > last)).all()
            done = 0
            for row_key, sealed, is_expired in rows:
                try:
                    new = services.encryption.rotate(sealed)
                except Undecipherable:
                    if is_expired:
                        continue
                    raise
                unchanged = and_(key == row_key, column == sealed)
                connection.execute(update(column.table).where(unchanged).values({column: new}))
                done += 1
        if not rows:
            return
        last = rows[-1][0]
        yield done


def _expired(services: Services, column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition for expired rows, which may need a key that was removed long ago."""
    now, times = services.clock(), ("expires", "signup_expires")
    return or_(false(), *(each <= now for each in column.table.columns if each.name in times))
