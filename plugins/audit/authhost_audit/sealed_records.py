"""Verifies the records of a batch: each one against its leaf, and the leaves against the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from authhost_audit import merkle
from authhost_audit.clocks import MAX_COMMIT_DELAY
from authhost_audit.digests import ERASED_DIGEST, leaf_data, personal_digest, record_digest
from authhost_audit.removals import AuthorizedRemovals
from authhost_audit.retention import PRUNABLE
from authhost_audit.tables import PERSONAL, event_table, leaf_table
from authhost_audit.uuid7 import time_of
from authhost_audit.violations import UNREADABLE, Violation
from authhost_audit.vocabulary import TRAIL

RETENTION_CLASSES = (*PRUNABLE, TRAIL)
# The columns of a record are prefixed, because `leaf_table` has columns of the same names.
EVENT_COLUMNS = [column.label(f"record_{column.name}") for column in event_table.columns]
EVENT_FIELDS = {label.name: label.name.removeprefix("record_") for label in EVENT_COLUMNS}
LEAVES_WITH_RECORDS = select(*leaf_table.columns, *EVENT_COLUMNS).outerjoin(
    event_table, event_table.c.id == leaf_table.c.event_id
)


SealedRow = Row[Any] | Violation
"""A leaf with its record, or a violation if the database cannot return them."""


def read_sealed_rows(connection: Connection, first: int, last: int) -> dict[int, list[SealedRow]]:
    """Return the leaves and records of the batches ``first`` to ``last`` by number, in order."""
    in_range = leaf_table.c.batch.between(first, last)
    order = (leaf_table.c.batch, leaf_table.c.position)
    found: dict[int, list[SealedRow]] = {}
    try:
        for row in connection.execute(LEAVES_WITH_RECORDS.where(in_range).order_by(*order)):
            found.setdefault(row.batch, []).append(row)
    except UNREADABLE:
        # One row cannot be read, so read each row by itself.
        found.clear()
        positions = connection.execute(select(*order).where(in_range).order_by(*order)).all()
        for batch, position in positions:
            found.setdefault(batch, []).append(_read_row(connection, batch, position))
    return found


def _read_row(connection: Connection, batch: int, position: int) -> SealedRow:
    here = (leaf_table.c.batch == batch, leaf_table.c.position == position)
    try:
        return connection.execute(LEAVES_WITH_RECORDS.where(*here)).one()
    except UNREADABLE:
        identifier = None
        with suppress(*UNREADABLE):
            identifier = connection.execute(select(leaf_table.c.event_id).where(*here)).scalar_one()
        return Violation("changed", batch, identifier, "the record cannot be read from the database")


def verify_records(
    batch: Mapping[str, Any],
    last: Mapping[str, Any] | None,
    rows: list[SealedRow],
    removals: AuthorizedRemovals,
) -> Iterator[Violation]:
    """Verify all records of a batch. If they are intact, verify their number and their Merkle root."""
    number = batch["number"]
    hashes, intact = [], True
    previous: UUID | None = None
    for position, row in enumerate(rows):
        if isinstance(row, Violation):
            intact = False
            yield row
            continue
        for violation in _verify_record(row, number, position, previous, removals):
            intact = False
            yield violation
        previous = row.event_id
        hashes.append(merkle.leaf_hash(leaf_data(row.event_id, row.kind % 256, row.digest)))
    if not intact:
        return
    if len(rows) != batch["size"] or batch["total"] != (last["total"] if last else 0) + batch["size"]:
        why = f"{batch['size']} records were sealed in it, but the database has {len(rows)}"
        yield Violation("seal", number, None, why)
    elif merkle.root(hashes) != batch["root"]:
        yield Violation("seal", number, None, "the list of its records was changed")


def _verify_record(
    row: Row[Any], number: int, position: int, previous: UUID | None, removals: AuthorizedRemovals
) -> Iterator[Violation]:
    identifier = row.event_id
    if row.position != position:
        why = f"the record has position {row.position} instead of {position}"
        yield Violation("reordered", number, identifier, why)
    elif previous is not None and identifier.int <= previous.int:
        yield Violation("reordered", number, identifier, "the record follows a later record")
    if row.record_id is None:
        if not removals.allows_missing(identifier, row.kind, (row.batch, row.position)):
            yield Violation("removed", number, identifier, "the record is missing and was not pruned")
        elif row.personal != ERASED_DIGEST:
            why = "the record was pruned, but the digest of its personal fields is still there"
            yield Violation("changed", number, identifier, why)
        return
    event = {EVENT_FIELDS[name]: value for name, value in row._mapping.items() if name in EVENT_FIELDS}
    change = _change_of(event, row, removals)
    if change is not None:
        yield Violation("changed", number, identifier, change)


def _change_of(event: Mapping[str, Any], row: Row[Any], removals: AuthorizedRemovals) -> str | None:
    """Return what was changed in a record; None if it is intact."""
    erased = event["salt"] is None and all(event[name] is None for name in PERSONAL)
    if erased and not removals.allows_erased(event, row.personal):
        return "the personal fields are empty, but no erasure is recorded"
    if not erased and personal_digest(event) != row.personal:
        return "the personal fields were changed"
    if record_digest(event, row.personal) != row.digest:
        return "the record was changed"
    if row.kind not in RETENTION_CLASSES:
        return f"the retention class {row.kind} does not exist"
    if abs(event["time"] - time_of(row.event_id)) > MAX_COMMIT_DELAY:
        return "the time of the record differs from the time in its identifier"
    return None
