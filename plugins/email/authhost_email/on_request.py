"""Messages that anybody may cause who knows an address: only the newest counts, and so many go in an hour.

A stranger who asks again and again can then neither fill a mailbox nor keep
the owner's own message from arriving: the newest one waits for the next turn
of its kind, and is never dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Network
from ipaddress import ip_address as ip_address_of
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import and_, or_, select, update

from authhost_email.rendering import ON_REQUEST
from authhost_email.tables import DONE_WITH, outbox_table

HOUR = timedelta(hours=1)
SHARES = {
    "email_confirmation": 2,
    "password_reset": 2,
    "password_reset_unknown_account": 1,
    "signup_existing_account": 1,
}
"""How the turns after the first third of ``max_per_hour`` are divided. A kind cannot use up another's."""
BATCH = 500
Row = Mapping[str, Any]


def supersede(host: Host) -> None:
    """Set the older messages aside where a newer one of the same kind waits for, or went to, the same person.

    Two accounts may claim one address, and each needs its own confirmation: a
    confirmation gives way only to one for the same account.
    """
    table, newer = outbox_table.c, outbox_table.alias().c
    same = and_(
        newer.recipient == table.recipient,
        newer.kind == table.kind,
        newer.user_id.is_not_distinct_from(table.user_id),
        newer.status.in_(("pending", "sending", "sent")),
        newer.id > table.id,
    )
    older = (
        select(table.id)
        .where(
            table.status == "pending",
            table.kind.in_(ON_REQUEST),
            or_(table.kind != "email_confirmation", table.user_id.is_not(None)),
            select(newer.id).where(same).exists(),
        )
        .limit(BATCH)
    )
    while True:
        with host.engine.connect() as connection:
            found = connection.execute(older).scalars().all()
        if found:
            waiting = and_(table.id.in_(found), table.status == "pending")
            superseded = {**DONE_WITH, "status": "superseded", "last_error": None}
            with host.engine.begin() as connection:
                connection.execute(update(outbox_table).where(waiting).values(superseded))
        if len(found) < BATCH:
            return


def has_precedence(host: Host, row: Row) -> bool:
    """Whether the message takes the next turn, and not another one of its kind to the same person.

    Only confirmations compete, since each account has its own. Those from a site
    that asked for fewer go first, then those from such a network, then the older
    ones: whoever signs up again and again with somebody's address waits behind
    its owner.
    """
    table = outbox_table.c
    due = or_(table.status == "sending", and_(table.status == "pending", table.next_attempt_at <= host.now))
    mine = and_(table.recipient == row["recipient"], table.kind == row["kind"], due)
    try:
        with host.engine.connect() as connection:
            found = connection.execute(select(table.id, table.context).where(mine).limit(BATCH)).all()
        networks = {identifier: _network_of(context) for identifier, context in found}
    except ValueError:  # a row that cannot be read; its own try will set it aside
        return True
    asked = Counter(networks.values())
    by_site = Counter(site(each) for each in networks.values())

    def rank(identifier: UUID) -> tuple[int, int, UUID]:
        place = networks[identifier]
        return by_site[site(place)], asked[place], identifier

    return bool(min(networks, key=rank, default=row["id"]) == row["id"])


def _network_of(context: Any) -> str | None:
    return network(context.get("ip_address")) if isinstance(context, dict) else None


def network(ip_address: str | None) -> str | None:
    """The address, or of IPv6 the /64: so much one customer has (RFC 6177)."""
    if ip_address is None:
        return None
    address = ip_address_of(ip_address)
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


def site(network: str | None) -> str | None:
    """The /48 of an IPv6 network, which one site may have (RFC 6177); an IPv4 address as it is."""
    if network is None or ":" not in network:
        return network
    return str(IPv6Network(network).supernet(new_prefix=48))


def next_turn(now: datetime, kind: str, sent: Sequence[tuple[str, datetime]], per_hour: int) -> datetime:
    """When a message of ``kind`` may go to an address; ``now`` where it may go at once.

    ``sent`` are the kinds and times of what went to it on request in the last
    hour, the newest first. The first third of ``per_hour`` goes at once; what
    is left is divided among the kinds by `SHARES` and spread over the hour. No
    hour has more than ``per_hour``.
    """
    at_once = max(1, per_hour - 2 * per_hour // 3)
    if len(sent) < at_once:
        return now
    later = per_hour - at_once
    calm = sent[at_once - 1][1] + HOUR
    if not later:
        return max(now, calm)
    own = next((time for each, time in sent if each == kind), None)
    turn = now if own is None else own + HOUR * sum(SHARES.values()) / (SHARES[kind] * later)
    if len(sent) >= per_hour:
        turn = max(turn, sent[per_hour - 1][1] + HOUR)
    return max(now, min(turn, calm))
