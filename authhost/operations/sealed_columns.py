"""Finds the encrypted columns of the host and its plugins, counts values by key, and encrypts them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    update,
)

from authhost.host import AuthHost
from authhost.security.encryption import Encryption, Undecipherable
from authhost.store.tables import SEALED, metadata

BATCH_SIZE = 500
PURPOSE_PREFIX = "purpose_"
"""The prefix of the columns of a result that are part of the purpose."""
EXPIRY_COLUMNS = ("expires", "signup_expires")
"""The columns with the time at which a row of the host expires."""


@dataclass(frozen=True, slots=True, eq=False)
class SealedColumn:
    """An encrypted column. ``purpose`` is that of `PluginTables.sealed`; None is a column of the host."""

    column: Column[Any]
    purpose: str | None

    @property
    def name(self) -> str:
        """The name, as ``table.column``."""
        return f"{self.column.table.name}.{self.column.name}"


class Batch(NamedTuple):
    """The numbers of a batch of rows of one column."""

    column: str
    current: int
    """Rows that were encrypted with the first key already."""
    encrypted: int
    """Rows that were encrypted again."""
    unreadable: int
    """Rows whose key is missing. Expired rows do not count."""

    @property
    def rows(self) -> int:
        """The sum of all."""
        return self.current + self.encrypted + self.unreadable


class KeyUse(NamedTuple):
    """How many values need each key."""

    by_key: Counter[int]
    """By the position of the key in the setting."""
    unreadable: Counter[str]
    """The values whose key is missing, by column."""


def sealed_columns(host: AuthHost) -> list[SealedColumn]:
    """Return the encrypted columns of the host and of the loaded plugins.

    Each of their tables has one column as its primary key.
    """
    found = [
        SealedColumn(column, None)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.type is SEALED
    ]
    for record in host.registry.loaded():
        if record.tables is not None:
            tables: Any = record.tables.metadata
            for name, purpose in record.tables.sealed.items():
                table, _, column = name.partition(".")
                found.append(SealedColumn(tables.tables[table].columns[column], purpose))
    return found


def count(host: AuthHost) -> int:
    """Return the number of encrypted values."""
    with host.reader.connect() as connection:
        return sum(
            connection.execute(
                select(func.count()).select_from(each.column.table).where(each.column.is_not(None))
            ).scalar_one()
            for each in sealed_columns(host)
        )


def key_use(host: AuthHost) -> KeyUse:
    """Return how many values need each key. Expired values whose key is missing are not counted."""
    used, unreadable = Counter[int](), Counter[str]()
    for each in sealed_columns(host):
        for rows in _pages(host, each):
            for row in rows:
                number = host.services.encryption.key_of(row.sealed)
                if number is not None:
                    used[number] += 1
                elif not row.expired:
                    unreadable[each.name] += 1
    return KeyUse(used, unreadable)


def encrypt_again(host: AuthHost) -> Iterator[Batch]:
    """Encrypt all values with the first key; yield each batch when it is stored.

    It can be interrupted and repeated, and run in several processes at once. A value that is replaced
    meanwhile is not overwritten. Values whose key is missing are counted and not changed.
    """
    for each in sealed_columns(host):
        for rows in _pages(host, each):
            yield _encrypt_page(host, each, rows)


def _encrypt_page(host: AuthHost, sealed: SealedColumn, rows: list[Row[Any]]) -> Batch:
    encryption, column = host.services.encryption, sealed.column
    changed: list[dict[str, Any]] = []
    unreadable = current = 0
    for row in rows:
        number = encryption.key_of(row.sealed)
        if number is None:
            unreadable += not row.expired
            continue
        if number == 0:
            current += 1
            continue
        try:
            new = _encrypted(encryption, sealed, row)
        except Undecipherable:  # it was moved here from another row
            unreadable += 1
            continue
        changed.append({"of_key": row.row_key, "old_value": row.sealed, "new_value": new})
    if changed:
        (key,) = column.table.primary_key
        unchanged = and_(key == bindparam("of_key"), column == bindparam("old_value"))
        statement = update(column.table).where(unchanged).values({column: bindparam("new_value")})
        with host.engine.begin() as connection:
            connection.execute(statement, changed)
    return Batch(sealed.name, current, len(changed), unreadable)


def _pages(host: AuthHost, sealed: SealedColumn) -> Iterator[list[Row[Any]]]:
    """Yield pages of rows with a value: ``row_key``, ``sealed``, ``expired``, and what the purpose names."""
    column, table = sealed.column, sealed.column.table
    (key,) = table.primary_key
    named = {name for _, name, *_ in Formatter().parse(sealed.purpose or "") if name}
    page = (
        select(
            key.label("row_key"),
            column.label("sealed"),
            _expired(host, column).label("expired"),
            *(table.columns[name].label(PURPOSE_PREFIX + name) for name in sorted(named)),
        )
        .where(column.is_not(None))
        .order_by(key)
        .limit(BATCH_SIZE)
    )
    last: Any = None
    while True:
        with host.reader.connect() as connection:
            rows = list(connection.execute(page if last is None else page.where(key > last)).all())
        if not rows:
            return
        last = rows[-1].row_key
        yield rows


def _encrypted(encryption: Encryption, sealed: SealedColumn, row: Row[Any]) -> bytes | str:
    if sealed.purpose is None:
        return encryption.rotate(row.sealed)
    values = {
        name.removeprefix(PURPOSE_PREFIX): value
        for name, value in row._mapping.items()
        if name.startswith(PURPOSE_PREFIX)
    }
    purpose = sealed.purpose.format(**values)
    return encryption.seal_text(encryption.open_text(row.sealed, purpose), purpose)


def _expired(host: AuthHost, column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition for expired rows of the host, which may need a key that was removed long ago."""
    if column.table.metadata is not metadata:
        return false()
    return or_(false(), *(each <= host.now for each in column.table.columns if each.name in EXPIRY_COLUMNS))
