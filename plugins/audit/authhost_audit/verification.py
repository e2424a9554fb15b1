"""Verifies the trail: the records of each batch, and the chain of batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, func, select

from authhost_audit.checkpoints import read_checkpoints
from authhost_audit.clocks import (
    MAX_CLOCK_SKEW,
    MAX_COMMIT_DELAY,
    format_time,
    future_batch_message,
    last_batch,
    watermark,
)
from authhost_audit.digests import GENESIS, batch_digest, batch_header, canonical
from authhost_audit.removals import read_removals
from authhost_audit.rows import all_rows, snapshot
from authhost_audit.sealed_records import SealedRow, read_sealed_rows, verify_records
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Keyring
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.uuid7 import SMALLEST, lower_bound, time_of
from authhost_audit.violations import UNREADABLE, Note, Violation
from authhost_audit.vocabulary import TRAIL

PAGE_SIZE = 20
"""Batches that are read at once."""


def verify(
    host: Host, settings: AuditSettings, checkpoint: Path | None = None
) -> Iterator[Violation | Note | int]:
    """Verify the whole trail, in one snapshot of the database.

    Yields each `Violation`, each `Note`, and after each batch the number of its
    records. If ``checkpoint`` is given, compares the batches with that file.
    """
    keyring = Keyring(settings)
    with snapshot(host) as connection:
        try:
            digests = dict[int, str]()
            if checkpoint is not None:
                digests, conflicts = read_checkpoints(checkpoint, keyring)
                for number in conflicts:
                    why = "the checkpoint file has two different batches with this number"
                    yield Violation("checkpoint", number, None, why)
                if not digests and last_batch(connection) is not None:
                    why = f"{checkpoint} has no checkpoint with a valid signature"
                    yield Violation("checkpoint", None, None, why)
            yield from _verify_chain(connection, keyring, digests, host.now)
            for number in digests:
                why = "the checkpoint file has this batch, but the database does not"
                yield Violation("checkpoint", number, None, why)
            yield from _leaves_without_batch(connection)
            if last_batch(connection) is None:
                yield _nothing_sealed(connection, settings)
            else:
                yield from _inserted_records(connection, host.now)
        except (*UNREADABLE, RecursionError):
            yield Violation("seal", None, None, "a batch cannot be read from the database")


def total(host: Host) -> int:
    """Return the number of sealed records."""
    with host.reader.connect() as connection:
        last = last_batch(connection)
    return last["total"] if last else 0


def unsealed(host: Host) -> tuple[int, datetime | None]:
    """Return the number of records that are in no batch, and the time of the oldest of them."""
    with snapshot(host) as connection:
        return _unsealed(connection)


# The chain of batches.


def _verify_chain(
    connection: Connection, keyring: Keyring, checkpoints: dict[int, str], now: datetime
) -> Iterator[Violation | Note | int]:
    """Verify all batches. Removes each batch that was found from ``checkpoints``."""
    removals = read_removals(connection, keyring)
    last: Mapping[str, Any] | None = None
    last_moved_watermark = False
    for batches in _pages(connection):
        records = read_sealed_rows(connection, batches[0]["number"], batches[-1]["number"])
        for batch in batches:
            rows = records.get(batch["number"], [])
            yield from _verify_header(batch, last, keyring)
            yield from verify_records(batch, last, rows, removals)
            expected = checkpoints.pop(batch["number"], None)
            if expected is not None and expected != batch_digest(batch).hex():
                why = "the checkpoint file has a different batch with this number"
                yield Violation("checkpoint", batch["number"], None, why)
            if last is not None:
                yield from _clock_notes(last, batch, rows, last_moved_watermark)
            last_moved_watermark = batch["through"] > (last["through"] if last else SMALLEST)
            last = batch
            yield len(rows)
    if removals.unlisted_erasures:
        latest = time_of(UUID(int=max(removals.erased_before.values())))
        yield Note(
            None,
            f"{removals.unlisted_erasures} records of erasures were written by an early version and do not "
            "list the erased records. For records before "
            f"{format_time(latest)}, unauthorized erasures may not be detected",
        )
    if last is not None and last["sealed_at"] > now + MAX_CLOCK_SKEW:
        yield Note(last["number"], future_batch_message(last, now))


def _pages(connection: Connection) -> Iterator[list[dict[str, Any]]]:
    """Yield all batches in order, in lists of up to `PAGE_SIZE`."""
    after = -(2**31)
    ordered = select(batch_table).order_by(batch_table.c.number).limit(PAGE_SIZE)
    while batches := all_rows(connection, ordered.where(batch_table.c.number > after)):
        after = batches[-1]["number"]
        yield batches


def _verify_header(
    batch: Mapping[str, Any], last: Mapping[str, Any] | None, keyring: Keyring
) -> Iterator[Violation]:
    """Verify the link to the previous batch, and the signature."""
    number = batch["number"]
    if number != (last["number"] + 1 if last else 1):
        yield Violation("seal", number, None, "the batch before it is missing")
    elif batch["previous"] != (batch_digest(last) if last else GENESIS):
        yield Violation("seal", number, None, "it does not continue the chain of the batch before it")
    key_id = batch["key_id"]
    if key_id not in keyring.keys:
        why = f"its key {key_id} is unknown; add the public key to former_keys"
        yield Violation("seal", number, None, why)
    elif not keyring.has_signed(key_id, canonical(batch_header(batch)), batch["signature"]):
        yield Violation("seal", number, None, "its signature is invalid")
    elif keyring.retired_before(key_id, number):
        why = f"its key {key_id} was retired before: former_keys names an earlier last batch"
        yield Violation("seal", number, None, why)


def _clock_notes(
    last: Mapping[str, Any], batch: Mapping[str, Any], rows: list[SealedRow], last_moved_watermark: bool
) -> Iterator[Note]:
    """Compare the time of a batch with that of the batch before it.

    ``last_moved_watermark`` says that the batch before contained all records of its time.
    """
    number, last_number, last_time = batch["number"], last["number"], last["sealed_at"]
    if batch["sealed_at"] < last_time - MAX_CLOCK_SKEW:
        yield Note(
            last_number,
            f"batch {last_number} was sealed at {format_time(last_time)}, but the following batch {number} "
            f"at {format_time(batch['sealed_at'])}: the clock of the first sealer was ahead, or the clock "
            "of the second sealer was behind",
        )
        return
    if not last_moved_watermark:
        return
    limit = lower_bound(last_time - MAX_COMMIT_DELAY).int
    late = [
        row.event_id
        for row in rows
        if not isinstance(row, Violation) and row.kind != TRAIL and row.event_id.int < limit
    ]
    if late:
        yield Note(
            number,
            f"batch {number} contains {len(late)} records with times since {format_time(time_of(late[0]))} "
            f"that did not exist when batch {last_number} was sealed at {format_time(last_time)}: the "
            f"clock of the sealer of batch {last_number} was ahead, or the records were written late",
        )


# Leaves and records that are in no batch.


def _leaves_without_batch(connection: Connection) -> Iterator[Violation]:
    missing = (
        select(leaf_table.c.batch)
        .outerjoin(batch_table, batch_table.c.number == leaf_table.c.batch)
        .where(batch_table.c.number.is_(None))
        .distinct()
    )
    for number in connection.execute(missing).scalars():
        yield Violation("seal", number, None, "the batch is missing, but it has records")


def _unsealed(connection: Connection) -> tuple[int, datetime | None]:
    joined = event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id)
    without_leaf = leaf_table.c.event_id.is_(None)
    count = connection.execute(select(func.count()).select_from(joined).where(without_leaf)).scalar_one()
    ids = select(event_table.c.id).select_from(joined).where(without_leaf).order_by(event_table.c.id)
    identifier = None
    with suppress(*UNREADABLE):
        identifier = connection.execute(ids.limit(1)).scalar()
    return count, time_of(identifier) if identifier is not None else None


def _nothing_sealed(connection: Connection, settings: AuditSettings) -> Violation:
    sealing = select(event_table.c.id).where(event_table.c.event == "audit_sealed").limit(1)
    if connection.execute(sealing).first() is not None:
        return Violation("seal", None, None, "all batches are missing: a record says that there was one")
    count, since = _unsealed(connection)
    consequence = "there are no records"
    if count:
        consequence = f"the {count} records since {format_time(since)} are protected by the database only"
    remedy = "" if settings.signing_key else "set a signing_key (`authhost audit new-key`), then "
    why = f"nothing is sealed: {consequence}; {remedy}run `authhost audit seal --every 10` as a service"
    return Violation("seal", None, None, why)


def _inserted_records(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield the records that are older than the watermark and in no batch."""
    late = (
        select(event_table.c.id)
        .outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id)
        .where(leaf_table.c.event_id.is_(None), event_table.c.id < watermark(connection, now))
        .order_by(event_table.c.id)
    )
    try:
        for identifier in connection.execute(late).scalars():
            why = "the record is older than the last sealed records, but it is in no batch"
            yield Violation("inserted", None, identifier, why)
    except UNREADABLE:
        yield Violation(
            "inserted", None, None, "a record that is in no batch cannot be read from the database"
        )
