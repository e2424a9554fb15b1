"""Notices of a new device. A login leaves a candidate; whether it is news is seen when it is delivered."""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_email.leases import CLAIM
from authhost_email.tables import device_table, outbox_table

log = logging.getLogger("authhost.email")

NEW_DEVICE = "new_device_login"


def judge_candidates(host: Host) -> None:
    """A login with a device that was seen before is nobody's news; nor is the first login of all."""
    table = outbox_table.c
    found = select(table.id).where(table.status == "candidate").order_by(table.id).limit(CLAIM)
    while True:
        with host.engine.connect() as connection:
            candidates = connection.execute(found).scalars().all()
        for candidate in candidates:
            with host.engine.begin() as connection:
                _judge(host, connection, candidate)
        if len(candidates) < CLAIM:
            return


def _judge(host: Host, connection: Connection, candidate: UUID) -> None:
    here = and_(outbox_table.c.id == candidate, outbox_table.c.status == "candidate")
    try:
        table = outbox_table.c
        found = connection.execute(select(table.context, table.user_id).where(here)).one_or_none()
        if found is None:
            return  # another worker has judged it
        context, user_id = found
        user_id = user_id or UUID(context["user_id"])  # where a former version has written it
        device = hashlib.sha256((context.get("user_agent") or "").encode()).digest()
    except (LookupError, TypeError, ValueError) as error:
        log.error("candidate %s is given up: %s", candidate, type(error).__name__)
        connection.execute(update(outbox_table).where(here).values(status="dead"))
        return
    of_user = select(device_table.c.digest).where(device_table.c.user_id == user_id)
    known = set(connection.execute(of_user).scalars())
    if device not in known:
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(device_table).values(user_id=user_id, digest=device, seen_at=host.now)
                )
        except IntegrityError:  # another worker judges the same login
            known.add(device)
    if device in known or not known:
        connection.execute(delete(outbox_table).where(here))
    else:
        connection.execute(update(outbox_table).where(here).values(status="pending"))
