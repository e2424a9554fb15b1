"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one check has found."""

    level: Level
    """``skipped`` if the check was not possible, which is not a problem by itself."""
    check: str
    """The name of what was checked, such as ``login``."""
    found: str
    remedy: str = ""
    """What to do. Empty if there is nothing to do."""
