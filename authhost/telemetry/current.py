"""The unit of work that runs in this thread or task, for log records and spans."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol
from uuid import UUID


class Identified(Protocol):
    """A unit of work."""

    @property
    def id(self) -> UUID:
        """Identifies the unit in logs and records."""
        ...


current_unit: ContextVar[Identified | None] = ContextVar("authhost_current_unit", default=None)
"""A unit of work sets it while its ``with`` block runs."""


def request_id() -> str | None:
    """Return the id of the unit of work that runs, or None."""
    unit = current_unit.get()
    return str(unit.id) if unit is not None else None
