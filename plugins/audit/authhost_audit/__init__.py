"""An audit trail for authhost: one row for every hook, in the flow's transaction."""

from authhost_audit.plugin import plugin

__all__ = ["plugin"]
