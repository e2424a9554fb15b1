"""What ``authhost check`` reports about the trail."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Finding, Host
from sqlalchemy import exists, select

from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table, event_table


def check_trail(host: Host) -> Iterator[Finding]:
    """Nothing is recorded, or nothing is sealed, so that a change of the trail cannot be found."""
    settings: AuditSettings = host.plugin_settings("audit")
    if not settings.recording:
        yield Finding("warning", "nothing is recorded", "set recording to true under [plugins.audit]")
    if not settings.signing_key:
        yield Finding(
            "warning",
            "there is no signing_key, so no record is sealed and `audit verify` cannot find a changed one",
            "run `authhost audit new-key`, set signing_key, and run `authhost audit seal --every 10`",
        )
    with host.reader.connect() as connection:
        recorded = connection.execute(select(exists().select_from(event_table))).scalar_one()
        sealed = connection.execute(select(exists().select_from(batch_table))).scalar_one()
    if settings.signing_key and recorded and not sealed:
        yield Finding(
            "warning",
            "there is a signing_key, but no record was ever sealed",
            "run `authhost audit seal --every 10` as a service",
        )
