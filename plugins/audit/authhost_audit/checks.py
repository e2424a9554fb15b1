"""Findings of ``authhost check`` about the audit trail."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Finding, Host
from sqlalchemy import exists, select

from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table, event_table


def check_trail(host: Host) -> Iterator[Finding]:
    """Yield a warning if nothing is recorded or sealed: a changed record could not be detected."""
    settings: AuditSettings = host.plugin_settings("audit")
    if not settings.recording:
        yield Finding(
            "warning",
            "no events are recorded (recording is false)",
            "set recording to true under [plugins.audit]",
        )
    if not settings.signing_key:
        yield Finding(
            "warning",
            "there is no signing_key: no record is sealed, so `authhost audit verify` cannot detect changes",
            "run `authhost audit new-key`, set signing_key, and run `authhost audit seal --every 10`",
        )
    with host.reader.connect() as connection:
        recorded = connection.execute(select(exists().select_from(event_table))).scalar_one()
        sealed = connection.execute(select(exists().select_from(batch_table))).scalar_one()
    if settings.signing_key and recorded and not sealed:
        yield Finding(
            "warning",
            "there is a signing_key, but no record has been sealed yet",
            "run `authhost audit seal --every 10` as a service",
        )
