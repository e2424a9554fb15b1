"""The former name of `authhost_analytics.erasure`, kept for one minor version."""

from __future__ import annotations

import warnings
from typing import Any

from authhost_analytics import erasure

RENAMED = {"forget": "erase_user"}


def __getattr__(name: str) -> Any:
    new = RENAMED.get(name, name)
    value = getattr(erasure, new)
    warnings.warn(
        f"authhost_analytics.forgetting is deprecated: import {new} from authhost_analytics.erasure",
        DeprecationWarning,
        stacklevel=2,
    )
    return value
