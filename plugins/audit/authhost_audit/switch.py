"""Switching the recording on or off is a record itself."""

from __future__ import annotations

from authhost_hookspecs import Host
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_audit.records import of_trail
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import cursor_table, event_table

ON, OFF = "audit_recording_on", "audit_recording_off"
NAME = "recording"


def note_switch(host: Host, settings: AuditSettings) -> None:
    """Write it down where the setting is another than when a host started last."""
    now, table = int(settings.recording), cursor_table.c
    with host.reader.connect() as connection:
        before = connection.execute(select(table.batch).where(table.name == NAME)).scalar()
    if before == now:
        return
    values = {"batch": now, "position": 0, "updated_at": host.now}
    try:
        with host.engine.begin() as connection:
            if before is None:
                connection.execute(insert(cursor_table).values(name=NAME, **values))
            elif not connection.execute(
                update(cursor_table).where(table.name == NAME, table.batch == before).values(values)
            ).rowcount:
                return
            connection.execute(insert(event_table), of_trail(host.new_id(), host.now, ON if now else OFF))
    except IntegrityError:  # another process has noted it
        return
