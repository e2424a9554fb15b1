"""What `authhost_audit.verification` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy.exc import DBAPIError

What = Literal["changed", "removed", "inserted", "reordered", "seal", "checkpoint"]
UNREADABLE = (ValueError, TypeError, DBAPIError)
"""The errors of a row that cannot be read because one of its values was changed."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A part of the trail that differs from what was sealed. ``record`` is None if it concerns a batch."""

    what: What
    batch: int | None
    record: UUID | None
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """A remark for the operator. The trail is intact."""

    batch: int | None
    why: str
