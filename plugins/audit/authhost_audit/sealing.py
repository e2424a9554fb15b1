"""The sealer: collects records into batches, chains the batches and signs each one.

Records are written without a lock and in any order. The sealer takes all records
that are in no batch yet. If two sealers run at the same time, the number of a
batch is unique, so one of them fails to insert its batch and tries again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_audit import merkle
from authhost_audit.clocks import MAX_COMMIT_DELAY, Batch, last_batch, watermark
from authhost_audit.digests import (
    GENESIS,
    batch_digest,
    batch_header,
    canonical,
    leaf_data,
    personal_digest,
    record_digest,
)
from authhost_audit.records import trail_row
from authhost_audit.rows import all_rows
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.uuid7 import lower_bound, time_of
from authhost_audit.vocabulary import classify

MAX_ATTEMPTS = 50
RETRY_TIMER = threading.Event()
"""Never set: waiting for it with a time-out is an interruptible sleep."""


def seal(host: Host, settings: AuditSettings) -> Iterator[Batch]:
    """Seal all records that are in no batch yet. Yields each batch after it is stored.

    Raises `click.ClickException` if there is no ``signing_key``, and
    `sqlalchemy.exc.IntegrityError` if other sealers win `MAX_ATTEMPTS` times in a row.
    """
    signer = Signer(settings)
    after: UUID | None = None
    attempts = 0
    while True:
        try:
            with host.engine.begin() as connection:
                sealed = _seal_batch(host, settings, signer, connection, after)
        except IntegrityError:
            attempts += 1
            if attempts == MAX_ATTEMPTS:
                raise
            after = None
            RETRY_TIMER.wait(random.uniform(0, 0.02 * attempts))  # noqa: S311
            continue
        if sealed is None:
            return
        batch, after = sealed
        attempts = 0
        yield batch


def _seal_batch(
    host: Host, settings: AuditSettings, signer: Signer, connection: Connection, after: UUID | None
) -> tuple[Batch, UUID] | None:
    """Seal one batch. Returns it and the identifier of its last record; None if all records are sealed."""
    last = last_batch(connection)
    old_watermark = watermark(connection, host.now)
    start = old_watermark if after is None else after
    sealed = and_(leaf_table.c.event_id == event_table.c.id, leaf_table.c.event_id >= start)
    unsealed = (
        select(event_table)
        .outerjoin(leaf_table, sealed)
        .where(leaf_table.c.event_id.is_(None), event_table.c.id >= start)
        .order_by(event_table.c.id)
        .limit(settings.batch_size)
    )
    rows = all_rows(connection, unsealed)
    if not rows:
        return None
    number = last["number"] + 1 if last else 1
    trail_rows = [trail_row(host.new_id(), host.now, "audit_sealed", batch=number, records=len(rows))]
    if last is not None and last["key_id"] != signer.key_id:
        keys = {"from": last["key_id"], "to": signer.key_id}
        trail_rows.append(trail_row(host.new_id(), host.now, "audit_key_changed", **keys))
    connection.execute(insert(event_table), trail_rows)
    # Read the rows back, because the seal must cover the values that the database has stored.
    inserted = select(event_table).where(event_table.c.id.in_([each["id"] for each in trail_rows]))
    records = sorted([*rows, *all_rows(connection, inserted)], key=lambda row: row["id"])
    leaves, hashes = _leaves(number, records)
    # If the batch is full, more old records may be unsealed. So the watermark stays where it is.
    full = len(rows) == settings.batch_size
    batch = {
        "number": number,
        "previous": batch_digest(last) if last else GENESIS,
        "root": merkle.root(hashes),
        "size": len(records),
        "total": (last["total"] if last else 0) + len(records),
        "through": old_watermark if full else max(old_watermark, _new_watermark(host.now, rows)),
        "sealed_at": host.now,
        "key_id": signer.key_id,
    }
    batch["signature"] = signer.sign(canonical(batch_header(batch)))
    connection.execute(insert(batch_table), batch)
    connection.execute(insert(leaf_table), leaves)
    return batch, rows[-1]["id"]


def _new_watermark(now: datetime, rows: Sequence[Mapping[str, Any]]) -> UUID:
    """Return the watermark by the earlier of two times: the sealer's clock, and the newest record."""
    newest = min(rows[-1]["id"], lower_bound(now))
    return lower_bound(time_of(newest) - MAX_COMMIT_DELAY)


def _leaves(number: int, records: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the rows of `leaf_table` for a batch, and the hashes of the leaves of its Merkle tree."""
    leaves, hashes = [], []
    for position, record in enumerate(records):
        personal = personal_digest(record)
        digest = record_digest(record, personal)
        kind = classify(record["event"], record["reason"]).kind
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


# Old names, which are removed in version 0.3.
floor = lower_bound
made_at = time_of
