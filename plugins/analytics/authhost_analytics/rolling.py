"""The former name of `authhost_analytics.rollup`, kept for one minor version."""

from __future__ import annotations

import warnings
from typing import Any

from authhost_analytics import rollup


def __getattr__(name: str) -> Any:
    value = getattr(rollup, name)
    warnings.warn(
        f"authhost_analytics.rolling is deprecated: import {name} from authhost_analytics.rollup",
        DeprecationWarning,
        stacklevel=2,
    )
    return value
