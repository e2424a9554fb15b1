"""The only ways in which something leaves the trail; each is a record itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, delete, insert, or_, select, text, update

from authhost_audit.cursors import cursor
from authhost_audit.digests import ERASED, canonical
from authhost_audit.forwarding import sinks
from authhost_audit.records import of_trail
from authhost_audit.sealing import floor
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer
from authhost_audit.tables import PERSONAL, event_table, leaf_table
from authhost_audit.vocabulary import ACTIVITY, SECURITY

BATCH = 5000
PRUNED = (ACTIVITY, SECURITY)
"""The classes that leave the trail; its own records stay."""


def statement(identifier: UUID, event: str, data: Mapping[str, Any]) -> bytes:
    """What is signed of a record that accounts for something that is gone."""
    return canonical({**data, "id": str(identifier), "event": event})


def prune(host: Host, settings: AuditSettings) -> Iterator[int]:
    """Delete sealed records that are older than they are kept; yield how many of each batch.

    Their seals stay, and so does what is not sealed, or not forwarded. The
    record of it is written first, with the first deletion, and signed.
    """
    days = {ACTIVITY: settings.keep_days, SECURITY: settings.keep_security_days}
    before = {kind: host.now - timedelta(days=kept) for kind, kept in days.items() if kept > 0}
    noted = False
    for kind, cutoff in before.items():
        while True:
            with host.engine.begin() as connection:
                gone = _old(connection, kind, floor(cutoff), settings)
                if not gone:
                    break
                if not noted:
                    data = {str(each): time.isoformat() for each, time in before.items()}
                    _note(connection, host, "audit_pruned", Signer(settings), before=data)
                    noted = True
                _permit(connection)
                connection.execute(delete(event_table).where(event_table.c.id.in_(gone)))
                pruned = update(leaf_table).where(leaf_table.c.event_id.in_(gone))
                connection.execute(pruned.values(personal=ERASED))
            yield len(gone)


def _old(connection: Connection, kind: int, before: UUID, settings: AuditSettings) -> list[UUID]:
    old = (
        select(event_table.c.id)
        .join(leaf_table, leaf_table.c.event_id == event_table.c.id)
        .where(event_table.c.id < before, leaf_table.c.kind == kind)
        .order_by(event_table.c.id)
        .limit(BATCH)
    )
    for sink in sinks(settings):
        batch, position = cursor(connection, sink.name)
        leaf = leaf_table.c
        old = old.where(or_(leaf.batch < batch, and_(leaf.batch == batch, leaf.position <= position)))
    return list(connection.execute(old).scalars())


def forget(host: Host, settings: AuditSettings, user_id: UUID, *addresses: str) -> int:
    """Erase the personal part of all records of a user: who it was, from where, with what address.

    Of attempts that name one of ``addresses``, too, though nobody was logged in.
    What happened, and when, stays, under an identifier that leads to nobody once
    the account is gone. The seals stay valid. Returns how many records.
    """
    table = event_table.c
    typed = [host.identifier_digest(each) for each in addresses]
    of_user = or_(table.user_id == user_id, table.actor_id == user_id, table.identifier.in_(typed))
    nothing: dict[str, Any] = dict.fromkeys(("salt", *PERSONAL))
    signer = Signer(settings) if settings.signing_key else None
    with host.engine.begin() as connection:
        _permit(connection)
        erased = update(event_table).where(of_user, table.salt.is_not(None)).values(nothing)
        count: int = connection.execute(erased).rowcount
        about = {"user_id": str(user_id), "records": count, "attempts": len(typed)}
        _note(connection, host, "audit_forgotten", signer, **about)
    return count


def note(host: Host, event: str, **data: Any) -> None:
    """Write down something that was done to the trail."""
    with host.engine.begin() as connection:
        _note(connection, host, event, None, **data)


def _note(connection: Connection, host: Host, event: str, signer: Signer | None, **data: Any) -> None:
    identifier = host.new_id()
    if signer is not None:
        data["key_id"] = signer.key_id
        data["signature"] = signer.sign(statement(identifier, event, data)).hex()
    connection.execute(insert(event_table), of_trail(identifier, host.now, event, **data))


def _permit(connection: Connection) -> None:
    """Let the trigger of PostgreSQL pass, for this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('authhost.audit', 'keeping', true)"))
