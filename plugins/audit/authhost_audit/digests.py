"""What a seal holds of a record, as bytes: JSON in its canonical form (RFC 8785)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from authhost_audit.tables import PERSONAL, SEALED

GENESIS = bytes(32)
"""What the first seal names as the one before."""
ERASED = bytes(32)
"""What stands in the place of the personal digest of a pruned record."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: object) -> bytes:
    """JSON with sorted keys and without spaces; with ASCII keys and whole numbers this is RFC 8785."""
    return _encode(value).encode("utf-8", "surrogatepass")


def plain(value: Any) -> Any:
    """Times and identifiers as text, bytes as hex."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return utc(value).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    return value


def utc(time: datetime) -> datetime:
    """What a database without time zones hands back was stored in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def personal_digest(row: Mapping[str, Any]) -> bytes:
    """Of the personal part, with its salt: without it nobody can guess what it was."""
    part = {name: plain(row[name]) for name in ("salt", *PERSONAL)}
    return hashlib.sha256(canonical(part)).digest()


def sealed_part(row: Mapping[str, Any], personal: bytes) -> dict[str, Any]:
    """The part of a record that stays, with the digest of the part that may go."""
    return {**{name: plain(row[name]) for name in SEALED}, "personal": personal.hex()}


def record_digest(row: Mapping[str, Any], personal: bytes) -> bytes:
    """Of a whole record."""
    return hashlib.sha256(canonical(sealed_part(row, personal))).digest()


def leaf_data(event_id: UUID, kind: int, digest: bytes) -> bytes:
    """What stands in the tree for a record: 49 bytes."""
    return event_id.bytes + bytes([kind]) + digest


def header(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is signed of a batch."""
    names = ("number", "previous", "root", "size", "total", "through", "sealed_at", "key_id")
    return {name: plain(row[name]) for name in names}


def head(row: Mapping[str, Any]) -> bytes:
    """What the next batch names as the one before."""
    return hashlib.sha256(canonical(header(row))).digest()
