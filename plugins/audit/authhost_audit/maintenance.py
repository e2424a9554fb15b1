"""The daily work on the trail, for ``authhost maintain``."""

from __future__ import annotations

from authhost_hookspecs import Host

from authhost_audit import retention
from authhost_audit.checkpoints import seal_and_push
from authhost_audit.settings import AuditSettings


def seal(host: Host) -> str:
    """Seal all records that are in no batch yet, if there is a ``signing_key``."""
    settings: AuditSettings = host.plugin_settings("audit")
    if not settings.signing_key:
        return "there is no signing_key, so nothing was sealed"
    batches = list(seal_and_push(host, settings))
    missed = sorted({name for _, failed in batches for name in failed})
    not_sent = f"; checkpoints were not sent to {' and '.join(missed)}" if missed else ""
    return f"{sum(batch['size'] for batch, _ in batches)} records sealed{not_sent}"


def prune(host: Host) -> str:
    """Delete sealed records that are older than the settings keep them."""
    return f"{sum(retention.prune(host, host.plugin_settings('audit')))} records deleted"
