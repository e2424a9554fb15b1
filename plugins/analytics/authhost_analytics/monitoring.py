"""The health of the statistics: whether the roll-up runs."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Health, Host
from sqlalchemy import func, select

from authhost_analytics.periods import as_time, hour_of
from authhost_analytics.rollup import NAME
from authhost_analytics.tables import event_table, roll_table

DEGRADED_AFTER = 48
"""Hours after which an event should be aggregated."""


def roll_up_health(host: Host) -> Iterator[Health]:
    """Yield the last hour of the roll-up, and whether stored events have waited too long for it."""
    with host.reader.connect() as connection:
        done = connection.execute(select(roll_table.c.hour).where(roll_table.c.name == NAME)).scalar()
        waiting = select(func.min(event_table.c.hour)).where(event_table.c.hour > (done or 0))
        oldest = connection.execute(waiting).scalar()
    last = f"the last roll-up included {as_time(done):%Y-%m-%dT%H:%M:%SZ}" if done else "there was no roll-up"
    if oldest is not None and oldest < hour_of(host.now) - DEGRADED_AFTER:
        hours = hour_of(host.now) - oldest
        detail = f"{last}; events wait for {hours} hours; run `authhost analytics roll-up` daily"
        yield Health("roll_up", "degraded", detail)
    else:
        yield Health("roll_up", "ok", f"{last}; no event has waited for more than two days")
