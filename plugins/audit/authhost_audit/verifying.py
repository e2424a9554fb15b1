"""Old name of `authhost_audit.verification` and `authhost_audit.violations`. Removed in 0.3."""

import warnings

from authhost_audit.verification import total, unsealed, verify
from authhost_audit.violations import Note, Violation

Break = Violation
__all__ = ["Break", "Note", "total", "unsealed", "verify"]

warnings.warn(
    "authhost_audit.verifying is now authhost_audit.verification and authhost_audit.violations; "
    "the old name is removed in authhost-audit 0.3",
    DeprecationWarning,
    stacklevel=2,
)
