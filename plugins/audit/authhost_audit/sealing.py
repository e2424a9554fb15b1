"""The sealer: groups records into batches, chains the batches, signs each.

Records are written without a lock and in any order; who seals takes what is not
sealed yet. Two sealers at once: the number of a batch is unique, so one of them
tries again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_audit import merkle
from authhost_audit.digests import (
    GENESIS,
    canonical,
    head,
    header,
    leaf_data,
    personal_digest,
    record_digest,
    utc,
)
from authhost_audit.records import of_trail
from authhost_audit.rows import all_rows, first_row
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.vocabulary import meaning

LATE = timedelta(hours=1)
"""How long after its making a record may still be committed. One that comes later counts as inserted."""
SKEW = timedelta(minutes=1)
"""By how much the clocks of two sealers may differ without a word."""
LOOK_BACK = timedelta(days=7)
"""How far back a run of the sealer looks for records that it has passed over; `verify` looks at all."""
LAST_MOMENT = 253_402_300_799_999
"""The last millisecond of the year 9999, after which Python has no times."""
TRIES = 50
BEGINNING = UUID(int=0)
PAUSE = threading.Event()
"""Waiting for it is sleeping."""

Batch = Mapping[str, Any]


def seal(host: Host, settings: AuditSettings) -> Iterator[Batch]:
    """Seal all that is not sealed; yield each batch once it is stored."""
    signer = Signer(settings)
    after: UUID | None = None
    tries = 0
    while True:
        try:
            with host.engine.begin() as connection:
                sealed = _seal_one(host, settings, signer, connection, after)
        except IntegrityError:
            tries += 1
            if tries == TRIES:
                raise
            after = None
            PAUSE.wait(random.uniform(0, 0.02 * tries))  # noqa: S311
            continue
        if sealed is None:
            return
        batch, after = sealed
        tries = 0
        yield batch


def last_batch(connection: Connection) -> Batch | None:
    """The newest batch, or None."""
    newest = select(batch_table).order_by(batch_table.c.number.desc()).limit(1)
    return first_row(connection, newest)


def floor(time: datetime) -> UUID:
    """The smallest identifier (UUID version 7) of that millisecond."""
    return UUID(int=max(0, int(time.timestamp() * 1000)) << 80 | 7 << 76 | 2 << 62)


def made_at(identifier: UUID) -> datetime:
    """The time in an identifier, to the millisecond."""
    return datetime.fromtimestamp(min(identifier.int >> 80, LAST_MOMENT) / 1000, UTC)


def reached(connection: Connection, now: datetime) -> UUID:
    """Return the identifier that the sealer has passed: an older record in no seal came too late.

    A batch that was sealed in the future of ``now``, or that reaches into it, does
    not count: the clock of its sealer was ahead, and honest records are older.
    """
    table, latest = batch_table.c, now + SKEW
    sound = and_(table.sealed_at <= latest, table.through <= floor(latest))
    newest = select(table.through).where(sound).order_by(table.number.desc()).limit(1)
    return connection.execute(newest).scalar() or BEGINNING


def clock_warnings(host: Host) -> list[str]:
    """Return what is wrong with the clocks of the sealers: one sentence each, none as a rule."""
    with host.reader.connect() as connection:
        last, limit = last_batch(connection), reached(connection, host.now)
        since = floor(max(made_at(limit) - LOOK_BACK, made_at(BEGINNING)))
        passed = connection.execute(
            select(func.count())
            .select_from(event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id))
            .where(leaf_table.c.event_id.is_(None), event_table.c.id >= since, event_table.c.id < limit)
        ).scalar_one()
    found = []
    if last is not None and last["sealed_at"] > host.now + SKEW:
        found.append(ahead(last, host.now))
    if passed:
        found.append(
            f"{passed} records were passed over: they were written after the sealer had passed their time, "
            "so a clock was behind or they were inserted; `authhost audit verify --all` names them"
        )
    return found


def stamp(time: datetime | None) -> str:
    """Write a time for people: ``2026-11-26 21:00:00 UTC``."""
    return f"{utc(time):%Y-%m-%d %H:%M:%S} UTC" if time is not None else "an unknown time"


def ahead(batch: Batch, now: datetime) -> str:
    """Say that a batch was sealed in the future of ``now``."""
    return (
        f"seal {batch['number']} says that it was sealed at {stamp(batch['sealed_at'])}, "
        f"and it is {stamp(now)}: the clock of its sealer was ahead, or this one is behind"
    )


def _seal_one(
    host: Host, settings: AuditSettings, signer: Signer, connection: Connection, after: UUID | None
) -> tuple[Batch, UUID] | None:
    last = last_batch(connection)
    before = reached(connection, host.now)
    begins = before if after is None else after
    sealed = and_(leaf_table.c.event_id == event_table.c.id, leaf_table.c.event_id >= begins)
    unsealed = (
        select(event_table)
        .outerjoin(leaf_table, sealed)
        .where(leaf_table.c.event_id.is_(None), event_table.c.id >= begins)
        .order_by(event_table.c.id)
        .limit(settings.batch_size)
    )
    rows = all_rows(connection, unsealed)
    if not rows:
        return None
    number = last["number"] + 1 if last else 1
    own = [of_trail(host.new_id(), host.now, "audit_sealed", batch=number, records=len(rows))]
    if last is not None and last["key_id"] != signer.key_id:
        keys = {"from": last["key_id"], "to": signer.key_id}
        own.append(of_trail(host.new_id(), host.now, "audit_key_changed", **keys))
    connection.execute(insert(event_table), own)
    # Read back, so that what is sealed is what the database has made of it.
    written = select(event_table).where(event_table.c.id.in_([each["id"] for each in own]))
    records = sorted([*rows, *all_rows(connection, written)], key=lambda row: row["id"])
    leaves, hashes = _leaves(number, records)
    batch = {
        "number": number,
        "previous": head(last) if last else GENESIS,
        "root": merkle.root(hashes),
        "size": len(records),
        "total": (last["total"] if last else 0) + len(records),
        # Only whoever has come to the end knows that nothing older is left.
        "through": before if len(rows) == settings.batch_size else max(before, _passed(host.now, rows)),
        "sealed_at": host.now,
        "key_id": signer.key_id,
    }
    batch["signature"] = signer.sign(canonical(header(batch)))
    connection.execute(insert(batch_table), batch)
    connection.execute(insert(leaf_table), leaves)
    return batch, rows[-1]["id"]


def _passed(now: datetime, rows: Sequence[Mapping[str, Any]]) -> UUID:
    """Up to where no record is expected any more, by the sealer's clock and by the newest record of all."""
    newest = min(rows[-1]["id"], floor(now))
    return floor(made_at(newest) - LATE)


def _leaves(number: int, records: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[bytes]]:
    leaves, hashes = [], []
    for position, record in enumerate(records):
        personal = personal_digest(record)
        digest = record_digest(record, personal)
        kind = meaning(record["event"], record["reason"]).kind
        leaves.append(
            {
                "event_id": record["id"],
                "batch": number,
                "position": position,
                "kind": kind,
                "digest": digest,
                "personal": personal,
            }
        )
        hashes.append(merkle.leaf_hash(leaf_data(record["id"], kind, digest)))
    return leaves, hashes
