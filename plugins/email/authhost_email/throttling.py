"""Limits messages that unauthenticated requests cause. Anybody who knows an address can request them.

Only the newest message of a kind is sent, and the number per hour is limited. The
newest message waits for its turn and is never dropped. So repeated requests by a
stranger can neither fill a mailbox nor stop the owner's own message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Network, ip_address as ip_address_of
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import and_, or_, select, update

from authhost_email.rendering import UNAUTHENTICATED_KINDS
from authhost_email.tables import ERASED_CONTENT, outbox_table

HOUR = timedelta(hours=1)
SHARES = {
    "email_confirmation": 2,
    "password_reset": 2,
    "password_reset_unknown_account": 1,
    "signup_existing_account": 1,
}
"""The shares of the kinds in the messages after the first third of ``max_per_hour``.

One kind cannot use the share of another kind.
"""
BATCH = 500
Row = Mapping[str, Any]


def supersede_older(host: Host) -> None:
    """Mark a message as superseded if a newer one of its kind for the same person waits or was sent.

    Two accounts may claim one address, and each needs its own confirmation. So a
    confirmation is superseded only by a confirmation for the same account.
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
            table.kind.in_(UNAUTHENTICATED_KINDS),
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
            superseded = {**ERASED_CONTENT, "status": "superseded", "last_error": None}
            with host.engine.begin() as connection:
                connection.execute(update(outbox_table).where(waiting).values(superseded))
        if len(found) < BATCH:
            return


def has_precedence(host: Host, row: Row) -> bool:
    """Return whether this message is sent next, before all others of its kind to the same address.

    Only confirmations compete, because each account has its own. Those from a site
    (see `site_network`) with fewer requests are sent first, then those from a
    network with fewer requests, then older ones. So a person who signs up again and
    again with another person's address waits behind the owner of the address.
    """
    table = outbox_table.c
    due = or_(table.status == "sending", and_(table.status == "pending", table.next_attempt_at <= host.now))
    mine = and_(table.recipient == row["recipient"], table.kind == row["kind"], due)
    try:
        with host.engine.connect() as connection:
            found = connection.execute(select(table.id, table.context).where(mine).limit(BATCH)).all()
        networks = {identifier: _network_of_context(context) for identifier, context in found}
    except ValueError:  # a row cannot be read; its own attempt gives it up
        return True
    by_network = Counter(networks.values())
    by_site = Counter(site_network(each) for each in networks.values())

    def rank(identifier: UUID) -> tuple[int, int, UUID]:
        origin = networks[identifier]
        return by_site[site_network(origin)], by_network[origin], identifier

    return bool(min(networks, key=rank, default=row["id"]) == row["id"])


def _network_of_context(context: Any) -> str | None:
    return client_network(context.get("ip_address")) if isinstance(context, dict) else None


def client_network(ip_address: str | None) -> str | None:
    """Return an IPv4 address, or the /64 network of an IPv6 address: the range of one customer (RFC 6177)."""
    if ip_address is None:
        return None
    address = ip_address_of(ip_address)
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


def site_network(network: str | None) -> str | None:
    """Return the /48 network of an IPv6 network: the range of one site (RFC 6177). IPv4 stays unchanged."""
    if network is None or ":" not in network:
        return network
    return str(IPv6Network(network).supernet(new_prefix=48))


def next_send_time(now: datetime, kind: str, sent: Sequence[tuple[str, datetime]], per_hour: int) -> datetime:
    """Return the time at which a message of ``kind`` may be sent to an address: ``now`` or later.

    ``sent`` are kinds and times of the messages of `UNAUTHENTICATED_KINDS` that were
    sent to the address in the last hour, the newest first. The first third of
    ``per_hour`` is sent at once. The rest is spread over the hour, and `SHARES`
    divides it among the kinds. No hour has more than ``per_hour`` messages.
    """
    at_once = max(1, per_hour - 2 * per_hour // 3)
    if len(sent) < at_once:
        return now
    later = per_hour - at_once
    burst_end = sent[at_once - 1][1] + HOUR
    if not later:
        return max(now, burst_end)
    last = next((time for each, time in sent if each == kind), None)
    turn = now if last is None else last + HOUR * sum(SHARES.values()) / (SHARES[kind] * later)
    if len(sent) >= per_hour:
        turn = max(turn, sent[per_hour - 1][1] + HOUR)
    return max(now, min(turn, burst_end))
