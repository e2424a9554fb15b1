"""Clocks: the watermark of the sealer, and warnings about sealers whose clock was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host, utc
from sqlalchemy import Connection, and_, func, select

from authhost_audit.rows import first_row
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.uuid7 import SMALLEST, lower_bound, time_of

MAX_COMMIT_DELAY = timedelta(hours=1)
"""A record may be committed this long after its identifier was made. A later one counts as inserted."""
MAX_CLOCK_SKEW = timedelta(minutes=1)
"""The clocks of two sealers may differ by this much without a warning."""
WARNING_WINDOW = timedelta(days=7)
"""`clock_warnings` looks this far back for skipped records. ``verify`` checks all records."""

Batch = Mapping[str, Any]


def last_batch(connection: Connection) -> Batch | None:
    """Return the newest batch, or None if nothing is sealed."""
    newest = select(batch_table).order_by(batch_table.c.number.desc()).limit(1)
    return first_row(connection, newest)


def watermark(connection: Connection, now: datetime) -> UUID:
    """Return the identifier up to which the sealer expects no new records.

    A record that is older and in no batch was committed too late, or inserted.
    A batch is ignored here if it was sealed later than ``now``, or if its
    watermark is later than ``now``. The clock of its sealer was ahead, so
    records of correct clocks are older than that watermark.
    """
    table, latest = batch_table.c, now + MAX_CLOCK_SKEW
    plausible = and_(table.sealed_at <= latest, table.through <= lower_bound(latest))
    newest = select(table.through).where(plausible).order_by(table.number.desc()).limit(1)
    return connection.execute(newest).scalar() or SMALLEST


def clock_warnings(host: Host) -> list[str]:
    """Return one sentence for each problem with the clocks of the sealers. The list is usually empty."""
    with host.reader.connect() as connection:
        last, limit = last_batch(connection), watermark(connection, host.now)
        since = lower_bound(max(time_of(limit) - WARNING_WINDOW, time_of(SMALLEST)))
        skipped = connection.execute(
            select(func.count())
            .select_from(event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id))
            .where(leaf_table.c.event_id.is_(None), event_table.c.id >= since, event_table.c.id < limit)
        ).scalar_one()
    warnings = []
    if last is not None and last["sealed_at"] > host.now + MAX_CLOCK_SKEW:
        warnings.append(future_batch_message(last, host.now))
    if skipped:
        warnings.append(
            f"{skipped} records were skipped: they were written after the sealer had already sealed later "
            "records. Either a clock was behind, or the records were inserted. "
            "`authhost audit verify --all` lists them"
        )
    return warnings


def format_time(time: datetime | None) -> str:
    """Return a time as text for people, such as ``2026-11-26T21:00:00Z``."""
    return f"{utc(time):%Y-%m-%dT%H:%M:%SZ}" if time is not None else "an unknown time"


def future_batch_message(batch: Batch, now: datetime) -> str:
    """Return the warning about a batch that was sealed later than ``now``."""
    return (
        f"batch {batch['number']} was sealed at {format_time(batch['sealed_at'])}, but now it is "
        f"{format_time(now)}: the clock of its sealer was ahead, or the clock of this machine is behind"
    )
