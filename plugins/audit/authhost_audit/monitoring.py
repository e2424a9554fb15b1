"""The health of the audit trail: whether records are recorded and sealed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from authhost_hookspecs import Health, Host
from sqlalchemy import exists, func, select

from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table, event_table
from authhost_audit.uuid7 import lower_bound

DEGRADED_AFTER = timedelta(hours=1)
"""The time without a seal after which unsealed records are reported."""


def seal_health(host: Host) -> Iterator[Health]:
    """Yield whether events are recorded, and whether old records are still unsealed."""
    settings: AuditSettings = host.plugin_settings("audit")
    if not settings.recording:
        yield Health("recording", "degraded", "no events are recorded (recording is false)")
    if not settings.signing_key:
        return  # `authhost check` reports it
    with host.reader.connect() as connection:
        newest = connection.execute(select(func.max(batch_table.c.number))).scalar()
        found = select(batch_table.c.sealed_at).where(batch_table.c.number == newest)
        sealed_at = connection.execute(found).scalar()
        old = event_table.c.id < lower_bound(host.now - DEGRADED_AFTER)
        later = event_table.c.id >= lower_bound(sealed_at + timedelta(seconds=1)) if sealed_at else True
        waiting = connection.execute(select(exists().where(old, later))).scalar_one()  # type: ignore[arg-type]
    last = f"the last batch is from {sealed_at:%Y-%m-%dT%H:%M:%SZ}" if sealed_at else "no batch is sealed"
    if waiting:
        remedy = "records are unsealed for more than an hour; run `authhost audit seal --every 10`"
        yield Health("seal", "degraded", f"{last}; {remedy}")
    else:
        yield Health("seal", "ok", last)
