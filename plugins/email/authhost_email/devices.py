"""Notices about logins with a new device.

Each login writes a message with the status ``candidate``. Delivery decides
whether the device is new.
"""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_email.failures import describe_invalid_row
from authhost_email.leases import CLAIM_SIZE
from authhost_email.tables import device_table, outbox_table

log = logging.getLogger("authhost.email")

NEW_DEVICE = "new_device_login"


def process_candidates(host: Host) -> None:
    """Queue or delete each candidate: a notice is sent only if the device is new.

    The first login of an account is not reported.
    """
    table = outbox_table.c
    found = select(table.id).where(table.status == "candidate").order_by(table.id).limit(CLAIM_SIZE)
    while True:
        with host.engine.connect() as connection:
            candidates = connection.execute(found).scalars().all()
        for candidate in candidates:
            with host.engine.begin() as connection:
                _process_candidate(host, connection, candidate)
        if len(candidates) < CLAIM_SIZE:
            return


def _process_candidate(host: Host, connection: Connection, candidate: UUID) -> None:
    here = and_(outbox_table.c.id == candidate, outbox_table.c.status == "candidate")
    try:
        table = outbox_table.c
        found = connection.execute(select(table.context, table.user_id).where(here)).one_or_none()
        if found is None:
            return  # another worker has processed it
        context, user_id = found
        user_id = user_id or UUID(context["user_id"])  # rows of version 0.1 have it here only
        device = hashlib.sha256((context.get("user_agent") or "").encode()).digest()
    except (LookupError, TypeError, ValueError) as error:
        log.error("new-device notice %s cannot be read and is given up: %s", candidate, type(error).__name__)
        dead = {"status": "dead", "last_error": describe_invalid_row(error)}
        connection.execute(update(outbox_table).where(here).values(dead))
        return
    of_user = select(device_table.c.digest).where(device_table.c.user_id == user_id)
    known = set(connection.execute(of_user).scalars())
    if device not in known:
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(device_table).values(user_id=user_id, digest=device, seen_at=host.now)
                )
        except IntegrityError:  # another worker processes the same login
            known.add(device)
    if device in known or not known:
        connection.execute(delete(outbox_table).where(here))
    else:
        connection.execute(update(outbox_table).where(here).values(status="pending"))
