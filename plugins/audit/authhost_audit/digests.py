"""The bytes that are hashed and signed: canonical JSON (RFC 8785) of records and batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_hookspecs import utc

from authhost_audit.tables import PERSONAL, SEALED

GENESIS = bytes(32)
"""The value of ``previous`` in the first batch."""
ERASED_DIGEST = bytes(32)
"""Replaces the digest of the personal fields of a pruned record."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: object) -> bytes:
    """Return JSON as UTF-8, with sorted keys and without spaces.

    With ASCII keys and integers only, this is the canonical form of RFC 8785.
    """
    return _encode(value).encode("utf-8", "surrogatepass")


def json_value(value: Any) -> Any:
    """Return a column's value for JSON: times and identifiers as text, bytes as hexadecimal digits."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return utc(value).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    return value


def personal_digest(row: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a record's personal fields and its salt.

    The salt is secret, so the values cannot be guessed from the digest.
    """
    fields = {name: json_value(row[name]) for name in ("salt", *PERSONAL)}
    return hashlib.sha256(canonical(fields)).digest()


def sealed_fields(row: Mapping[str, Any], personal: bytes) -> dict[str, Any]:
    """Return the permanent fields of a record, and the digest of the personal fields, which may be erased."""
    return {**{name: json_value(row[name]) for name in SEALED}, "personal": personal.hex()}


def record_digest(row: Mapping[str, Any], personal: bytes) -> bytes:
    """Return the SHA-256 of a whole record. ``personal`` is its `personal_digest`."""
    return hashlib.sha256(canonical(sealed_fields(row, personal))).digest()


def leaf_data(event_id: UUID, kind: int, digest: bytes) -> bytes:
    """Return the 49 bytes that represent a record in the Merkle tree."""
    return event_id.bytes + bytes([kind]) + digest


def batch_header(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a batch that its signature covers."""
    names = ("number", "previous", "root", "size", "total", "through", "sealed_at", "key_id")
    return {name: json_value(row[name]) for name in names}


def batch_digest(row: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a batch, which the next batch stores as ``previous``."""
    return hashlib.sha256(canonical(batch_header(row))).digest()
