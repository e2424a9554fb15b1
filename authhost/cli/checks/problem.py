"""One finding of ``authhost check``."""

from __future__ import annotations

from typing import NamedTuple

from authhost_hookspecs import FindingLevel


class Problem(NamedTuple):
    """One finding. An error makes ``authhost check`` exit with 1; a hint is for information only."""

    level: FindingLevel
    problem: str
    do: str
    """What the operator can do about it."""
    plugin: str | None = None
    """The plugin that found it; None for authhost's own checks."""
