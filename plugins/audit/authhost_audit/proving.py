"""Old name of `authhost_audit.proofs`. Removed in 0.3."""

import warnings

from authhost_audit.proofs import proof

__all__ = ["proof"]

warnings.warn(
    "authhost_audit.proving is now authhost_audit.proofs; the old name is removed in authhost-audit 0.3",
    DeprecationWarning,
    stacklevel=2,
)
