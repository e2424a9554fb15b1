"""Authorized removals: which records may be missing from the trail, and which personal fields may be empty.

The records of prunings and erasures say so. Only those with a valid signature
count, and only for the records that they name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from authhost_audit.digests import personal_digest
from authhost_audit.retention import PRUNABLE, signed_payload
from authhost_audit.signing import Keyring, decode_signature
from authhost_audit.tables import PERSONAL, batch_table, event_table
from authhost_audit.uuid7 import lower_bound

ANONYMOUS = UUID(int=0)
"""The key in `AuthorizedRemovals.erased_before` for attempts without a user."""
LARGEST_ID = 2**128 - 1
MILLISECOND = timedelta(milliseconds=1)
DIGEST_WITHOUT_PERSONAL_FIELDS = personal_digest(dict.fromkeys(("salt", *PERSONAL)))
"""The personal digest of a record whose personal fields were erased before it was sealed."""
NO_LIMIT = (2**63, 0)
"""The position of prunings by early versions, whose records contain no position."""


class Pruning(NamedTuple):
    """One pruning."""

    before: Mapping[int, int]
    """By retention class: records with a smaller identifier were deleted."""
    through: tuple[int, int]
    """Batch and position of the last record that may have been deleted."""


@dataclass(slots=True)
class AuthorizedRemovals:
    """All prunings and erasures that are recorded in the trail."""

    prunings: list[Pruning] = field(default_factory=list)
    erased: set[UUID] = field(default_factory=set)
    """Records that a signed erasure lists."""
    erased_unsigned: set[UUID] = field(default_factory=set)
    """Records that an unsigned erasure lists. It counts only for records that were sealed after it."""
    erased_before: dict[UUID, int] = field(default_factory=dict)
    """Erasures by early versions, which list no records. By user, the identifier of the erasure."""
    unlisted_erasures: int = 0
    """The number of erasures by early versions."""

    def allows_missing(self, event_id: UUID, kind: int, position: tuple[int, int]) -> bool:
        """Return whether a record of this age, retention class and position was pruned."""
        return any(
            event_id.int < each.before.get(kind, 0) and position <= each.through for each in self.prunings
        )

    def allows_erased(self, row: Mapping[str, Any], personal: bytes) -> bool:
        """Return whether the personal fields of a record were erased. ``personal`` is its sealed digest."""
        identifier = row["id"]
        if identifier in self.erased:
            return True
        if identifier in self.erased_unsigned and personal == DIGEST_WITHOUT_PERSONAL_FIELDS:
            return True
        users = [user for user in (row["user_id"], row["actor_id"]) if user is not None]
        if row["user_id"] is None:
            users.append(ANONYMOUS)
        return any(identifier.int < self.erased_before.get(user, 0) for user in users)


def read_removals(connection: Connection, keyring: Keyring) -> AuthorizedRemovals:
    """Return the authorized removals. Records that are unreadable or not signed correctly are ignored."""
    table = event_table.c
    statement = select(table.id, table.event, table.data).where(
        table.event.in_(("audit_pruned", "audit_forgotten"))
    )
    removals = AuthorizedRemovals()
    for identifier, event, text in connection.execute(statement):
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            data = json.loads(text)
            if event == "audit_forgotten" and "signature" not in data:
                removals.erased_unsigned.update(UUID(each) for each in data["erased"])
                continue
            signature = decode_signature(data.pop("signature"))
            if not keyring.has_signed(data["key_id"], signed_payload(identifier, event, data), signature):
                continue
            if identifier.int > _last_identifier_of_key(connection, keyring, data["key_id"]):
                continue
            if event == "audit_pruned":
                removals.prunings.append(_pruning(data))
            elif "erased" in data:
                removals.erased.update(UUID(each) for each in data["erased"])
            else:
                _add_unlisted_erasure(removals, identifier, data)
    return removals


def _add_unlisted_erasure(removals: AuthorizedRemovals, identifier: UUID, data: Mapping[str, Any]) -> None:
    removals.unlisted_erasures += 1
    users = [UUID(data["user_id"]), *([ANONYMOUS] if data["attempts"] else ())]
    for user in users:
        removals.erased_before[user] = max(identifier.int, removals.erased_before.get(user, 0))


def _pruning(data: Mapping[str, Any]) -> Pruning:
    before = {int(kind): datetime.fromisoformat(each) for kind, each in data["before"].items()}
    batch, position = data.get("through", NO_LIMIT)
    return Pruning(
        {kind: lower_bound(each).int for kind, each in before.items() if kind in PRUNABLE}, (batch, position)
    )


def _last_identifier_of_key(connection: Connection, keyring: Keyring, key_id: str) -> int:
    """Return the largest identifier of a record that the key may sign.

    A retired key may sign until the batch after its last one is sealed by another key.
    """
    last = keyring.keys[key_id].last
    if last is None:
        return LARGEST_ID
    following = select(batch_table.c.sealed_at).where(batch_table.c.number == last + 1)
    sealed_at = connection.execute(following).scalar()
    return lower_bound(sealed_at + MILLISECOND).int if sealed_at is not None else LARGEST_ID
