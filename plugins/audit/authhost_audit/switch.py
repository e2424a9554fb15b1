"""Switching the recording on or off is a record itself."""

from __future__ import annotations

from authhost_hookspecs import Host
from sqlalchemy import insert, select

from authhost_audit.records import of_trail
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import event_table

ON, OFF = "audit_recording_on", "audit_recording_off"


def note_switch(host: Host, settings: AuditSettings) -> None:
    """Write it down where the setting is another than when a host started last."""
    now = ON if settings.recording else OFF
    table = event_table.c
    latest = select(table.event).where(table.event.in_((ON, OFF))).order_by(table.id.desc()).limit(1)
    with host.engine.begin() as connection:
        if connection.execute(latest).scalar() != now:
            connection.execute(insert(event_table), of_trail(host.new_id(), host.now, now))
