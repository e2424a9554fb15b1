"""Stores the rows that plugins have queued, together with the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import Insert, Table, insert

from authhost.errors import PLUGIN_FAILURES
from authhost.store.transaction import Transaction

log = logging.getLogger("authhost")


class Unit(Protocol):
    """The unit of work that the rows belong to."""

    @property
    def id(self) -> UUID: ...


class Writer(Protocol):
    """Who queues rows and registers callbacks: a plugin."""

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool:
        """Whether its rows must be stored."""
        ...

    def run_callback(self, unit: Any, callback: Callable[[], object]) -> None:
        """Run a callback after the commit; raise nothing."""
        ...

    def rows_failed(
        self, unit: Any, error: BaseException, tables: Sequence[str], *, must_store: bool
    ) -> None:
        """Report rows that could not be stored; raise an error with ``must_store``."""
        ...


class QueuedRow(NamedTuple):
    """A row that waits for the commit."""

    writer: Writer | None
    must_store: bool
    table: Table
    values: Mapping[str, Any]


def commit_with(transaction: Transaction, rows: list[QueuedRow], unit: Unit) -> None:
    """Insert the rows and commit, in one batch. If a row fails, insert them again, writer by writer.

    Either all rows of a writer are stored or none. Rows that fail are reported to
    their writer, which raises an error if they had to be stored.
    """
    if not rows:
        transaction.commit()
        return
    savepoint = None if len(rows) == 1 and transaction.undoes_statements else transaction.savepoint()
    try:
        _insert(transaction, rows)
        if savepoint is not None:
            transaction.release(savepoint)
        transaction.commit()
        return
    except PLUGIN_FAILURES as error:
        if savepoint is None:
            connection = transaction.connection
            if transaction.ended or connection.invalidated or not connection.in_transaction():
                raise
            _report(rows, error, unit)
        elif not transaction.roll_back_to(savepoint):
            raise
    if savepoint is not None:
        insert_now(transaction, rows, unit)
    transaction.commit()


def insert_now(transaction: Transaction, rows: list[QueuedRow], unit: Unit) -> None:
    """Insert the rows, writer by writer; see `commit_with`."""
    for writer in dict.fromkeys(row.writer for row in rows):
        _insert_of_writer(transaction, [row for row in rows if row.writer is writer], unit)


def _insert_of_writer(transaction: Transaction, rows: list[QueuedRow], unit: Unit) -> None:
    savepoint = transaction.savepoint()
    try:
        _insert(transaction, rows)
        transaction.release(savepoint)
        transaction.flush()
    except PLUGIN_FAILURES as error:
        if not transaction.roll_back_to(savepoint):
            raise
        _report(rows, error, unit)


def _insert(transaction: Transaction, rows: list[QueuedRow]) -> None:
    groups: dict[tuple[Table, tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row.table, tuple(row.values)), []).append(row.values)
    for (table, names), values in groups.items():
        transaction.send_many(insert_into(table, names), values)


def _report(rows: list[QueuedRow], error: BaseException, unit: Unit) -> None:
    tables = sorted({row.table.name for row in rows})
    writer = rows[0].writer
    if writer is not None:
        writer.rows_failed(unit, error, tables, must_store=any(row.must_store for row in rows))
        return
    log.error(
        "rows of the application were not stored: %s (tables %s, request %s)",
        type(error).__name__,
        ", ".join(tables),
        unit.id,
    )


@lru_cache(maxsize=256)
def insert_into(table: Table, names: tuple[str, ...]) -> Insert:
    """Return the INSERT of a table for these columns.

    Raises ``ValueError`` for a column that the table does not have; SQLAlchemy would ignore it.
    """
    for name in names:
        if name not in table.c:
            raise ValueError(f"{table.name} has no column {name!r}")
    return insert(table).inline()  # so that no generated key is fetched
