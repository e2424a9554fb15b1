"""Retention: pruning old records, and erasing the personal fields of a user's records.

These are the only ways to remove data from the trail. Each one writes a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, delete, insert, or_, select, text, update

from authhost_audit.clocks import last_batch
from authhost_audit.cursors import read_cursor
from authhost_audit.digests import ERASED_DIGEST, canonical
from authhost_audit.forwarding import sinks
from authhost_audit.records import trail_row
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer
from authhost_audit.tables import PERSONAL, event_table, leaf_table
from authhost_audit.uuid7 import lower_bound
from authhost_audit.vocabulary import ACTIVITY, SECURITY

CHUNK = 5000
"""Records that are pruned in one transaction."""
MAX_LISTED = 1000
"""Identifiers in one record of an erasure. A TEXT column of MariaDB holds 65,535 bytes."""
PRUNABLE = (ACTIVITY, SECURITY)
"""The retention classes that are pruned. Records of the class `TRAIL` are kept forever."""


def signed_payload(identifier: UUID, event: str, data: Mapping[str, Any]) -> bytes:
    """Return the bytes that the signature of a pruning or erasure covers."""
    return canonical({**data, "id": str(identifier), "event": event})


def prune(host: Host, settings: AuditSettings) -> Iterator[int]:
    """Delete sealed records that are older than their retention time. Yields the number of each chunk.

    The batches and leaves stay. Records are not deleted before they are sealed and
    every receiver has received them. The signed record of the pruning is written
    in the transaction of the first deletion. It contains the position in the
    batches up to which records may be missing. Raises `click.ClickException` if
    there is no ``signing_key``.
    """
    days = {ACTIVITY: settings.keep_days, SECURITY: settings.keep_security_days}
    before = {kind: host.now - timedelta(days=kept) for kind, kept in days.items() if kept > 0}
    with host.reader.connect() as connection:
        through = _last_received_position(connection, settings)
    recorded = False
    for kind, cutoff in before.items():
        while True:
            with host.engine.begin() as connection:
                expired = _expired_records(connection, kind, lower_bound(cutoff), through)
                if not expired:
                    break
                if not recorded:
                    data = {str(each): time.isoformat() for each, time in before.items()}
                    signer = Signer(settings)
                    _insert_record(
                        connection, host, "audit_pruned", signer, before=data, through=list(through)
                    )
                    recorded = True
                _allow_changes(connection)
                connection.execute(delete(event_table).where(event_table.c.id.in_(expired)))
                pruned = update(leaf_table).where(leaf_table.c.event_id.in_(expired))
                connection.execute(pruned.values(personal=ERASED_DIGEST))
            yield len(expired)


def _last_received_position(connection: Connection, settings: AuditSettings) -> tuple[int, int]:
    """Return batch and position of the last record that is sealed and that every receiver has received."""
    last = last_batch(connection)
    sealed = (last["number"], last["size"]) if last else (0, -1)
    return min([sealed, *(read_cursor(connection, sink.name) for sink in sinks(settings))])


def _expired_records(connection: Connection, kind: int, before: UUID, through: tuple[int, int]) -> list[UUID]:
    leaf, (batch, position) = leaf_table.c, through
    expired = (
        select(event_table.c.id)
        .join(leaf_table, leaf.event_id == event_table.c.id)
        .where(event_table.c.id < before, leaf.kind == kind)
        .where(or_(leaf.batch < batch, and_(leaf.batch == batch, leaf.position <= position)))
        .order_by(event_table.c.id)
        .limit(CHUNK)
    )
    return list(connection.execute(expired).scalars())


def erase_user(host: Host, settings: AuditSettings, user_id: UUID, *addresses: str) -> int:
    """Erase the personal fields of all records of a user. Returns the number of erased records.

    Also erases records of attempts in which one of ``addresses`` (or usernames) was
    typed, although nobody was logged in. Event, time and user identifier stay.
    After the account is deleted, the identifier does not lead to a person.

    The batches stay valid: the record of the erasure lists the erased records and
    is signed. Raises `click.ClickException` if batches exist and there is no
    ``signing_key``.
    """
    table = event_table.c
    typed = {digest for each in addresses for digest in host.identifier_digests(each)}
    of_user = or_(table.user_id == user_id, table.actor_id == user_id, table.identifier.in_(typed))
    empty: dict[str, Any] = dict.fromkeys(("salt", *PERSONAL))
    with host.engine.begin() as connection:
        sealed = last_batch(connection) is not None
        signer = Signer(settings) if settings.signing_key or sealed else None
        _allow_changes(connection)
        erasable = select(table.id).where(of_user, table.salt.is_not(None)).order_by(table.id)
        found = list(connection.execute(erasable).scalars())
        for start in range(0, len(found) or 1, MAX_LISTED):
            erased = found[start : start + MAX_LISTED]
            connection.execute(update(event_table).where(table.id.in_(erased)).values(empty))
            data: dict[str, Any] = {"user_id": str(user_id), "attempts": len(addresses)}
            data |= {"records": len(erased), "erased": [str(each) for each in erased]}
            _insert_record(connection, host, "audit_forgotten", signer, **data)
    return len(found)


def record_operation(host: Host, event: str, **data: Any) -> None:
    """Write an unsigned record of an operation on the trail, such as an export."""
    with host.engine.begin() as connection:
        _insert_record(connection, host, event, None, **data)


def _insert_record(
    connection: Connection, host: Host, event: str, signer: Signer | None, **data: Any
) -> None:
    identifier = host.new_id()
    if signer is not None:
        data["key_id"] = signer.key_id
        data["signature"] = signer.sign(signed_payload(identifier, event, data)).hex()
    connection.execute(insert(event_table), trail_row(identifier, host.now, event, **data))


def _allow_changes(connection: Connection) -> None:
    """Let PostgreSQL's trigger allow changes for the rest of this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('authhost.audit', 'keeping', true)"))
