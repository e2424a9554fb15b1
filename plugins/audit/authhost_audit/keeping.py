"""Old name of `authhost_audit.retention`. Removed in 0.3."""

import warnings

from authhost_audit import retention

forget = retention.erase_user
note = retention.record_operation
prune = retention.prune
__all__ = ["forget", "note", "prune"]

warnings.warn(
    "authhost_audit.keeping is now authhost_audit.retention; the old name is removed in authhost-audit 0.3",
    DeprecationWarning,
    stacklevel=2,
)
