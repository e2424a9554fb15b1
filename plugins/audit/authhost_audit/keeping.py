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
from authhost_audit.sealing import floor, last_batch
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer
from authhost_audit.tables import PERSONAL, event_table, leaf_table
from authhost_audit.vocabulary import ACTIVITY, SECURITY

BATCH = 5000
LISTED = 1000
"""Identifiers in one record of an erasure: MariaDB's TEXT has room for 65,535 bytes."""
PRUNED = (ACTIVITY, SECURITY)
"""The classes that leave the trail; its own records stay."""


def statement(identifier: UUID, event: str, data: Mapping[str, Any]) -> bytes:
    """What is signed of a record that accounts for something that is gone."""
    return canonical({**data, "id": str(identifier), "event": event})


def prune(host: Host, settings: AuditSettings) -> Iterator[int]:
    """Delete sealed records that are older than they are kept; yield how many of each batch.

    Their seals stay, and so does what is not sealed, or not forwarded. The
    record of it is written first, with the first deletion, and signed; it says
    up to which place in the seals it reaches.
    """
    days = {ACTIVITY: settings.keep_days, SECURITY: settings.keep_security_days}
    before = {kind: host.now - timedelta(days=kept) for kind, kept in days.items() if kept > 0}
    with host.reader.connect() as connection:
        through = _received(connection, settings)
    noted = False
    for kind, cutoff in before.items():
        while True:
            with host.engine.begin() as connection:
                gone = _old(connection, kind, floor(cutoff), through)
                if not gone:
                    break
                if not noted:
                    data = {str(each): time.isoformat() for each, time in before.items()}
                    signer = Signer(settings)
                    _note(connection, host, "audit_pruned", signer, before=data, through=list(through))
                    noted = True
                _permit(connection)
                connection.execute(delete(event_table).where(event_table.c.id.in_(gone)))
                pruned = update(leaf_table).where(leaf_table.c.event_id.in_(gone))
                connection.execute(pruned.values(personal=ERASED))
            yield len(gone)


def _received(connection: Connection, settings: AuditSettings) -> tuple[int, int]:
    """The last place that is sealed, and that every receiver has taken: batch and position."""
    last = last_batch(connection)
    sealed = (last["number"], last["size"]) if last else (0, -1)
    return min([sealed, *(cursor(connection, sink.name) for sink in sinks(settings))])


def _old(connection: Connection, kind: int, before: UUID, through: tuple[int, int]) -> list[UUID]:
    leaf, (batch, position) = leaf_table.c, through
    old = (
        select(event_table.c.id)
        .join(leaf_table, leaf.event_id == event_table.c.id)
        .where(event_table.c.id < before, leaf.kind == kind)
        .where(or_(leaf.batch < batch, and_(leaf.batch == batch, leaf.position <= position)))
        .order_by(event_table.c.id)
        .limit(BATCH)
    )
    return list(connection.execute(old).scalars())


def forget(host: Host, settings: AuditSettings, user_id: UUID, *addresses: str) -> int:
    """Erase the personal part of all records of a user: who it was, from where, with what address.

    Of attempts that name one of ``addresses`` (or usernames), too, though nobody
    was logged in. What happened, and when, stays, under an identifier that leads
    to nobody once the account is gone. The seals stay valid: the record of the
    erasure lists what it erased, and is signed. Returns how many records. Raises
    `click.ClickException` where seals exist and there is no ``signing_key``.
    """
    table = event_table.c
    typed = {digest for each in addresses for digest in host.identifier_digests(each)}
    of_user = or_(table.user_id == user_id, table.actor_id == user_id, table.identifier.in_(typed))
    nothing: dict[str, Any] = dict.fromkeys(("salt", *PERSONAL))
    with host.engine.begin() as connection:
        sealed = last_batch(connection) is not None
        signer = Signer(settings) if settings.signing_key or sealed else None
        _permit(connection)
        erasable = select(table.id).where(of_user, table.salt.is_not(None)).order_by(table.id)
        found = list(connection.execute(erasable).scalars())
        for begin in range(0, len(found) or 1, LISTED):
            erased = found[begin : begin + LISTED]
            connection.execute(update(event_table).where(table.id.in_(erased)).values(nothing))
            about: dict[str, Any] = {"user_id": str(user_id), "attempts": len(addresses)}
            about |= {"records": len(erased), "erased": [str(each) for each in erased]}
            _note(connection, host, "audit_forgotten", signer, **about)
    return len(found)


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
