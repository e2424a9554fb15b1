"""Records a change of the setting ``recording``."""

from __future__ import annotations

from authhost_hookspecs import Host
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_audit.records import trail_row
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import cursor_table, event_table

ON, OFF = "audit_recording_on", "audit_recording_off"
CURSOR_NAME = "recording"


def record_switch(host: Host, settings: AuditSettings) -> None:
    """Write a record if ``recording`` has changed since a host was started last.

    The last value is stored in the cursor table, in a row of its own.
    """
    current, table = int(settings.recording), cursor_table.c
    with host.reader.connect() as connection:
        previous = connection.execute(select(table.batch).where(table.name == CURSOR_NAME)).scalar()
    if previous == current:
        return
    values = {"batch": current, "position": 0, "updated_at": host.now}
    try:
        with host.engine.begin() as connection:
            if previous is None:
                connection.execute(insert(cursor_table).values(name=CURSOR_NAME, **values))
            elif not connection.execute(
                update(cursor_table).where(table.name == CURSOR_NAME, table.batch == previous).values(values)
            ).rowcount:
                return
            connection.execute(
                insert(event_table), trail_row(host.new_id(), host.now, ON if current else OFF)
            )
    except IntegrityError:  # another process has written the record
        return
