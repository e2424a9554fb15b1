"""A proof that a record is in a seal, which anybody can check who knows the public key."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import click
from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_audit import merkle
from authhost_audit.digests import canonical, header, leaf_data, record_digest, sealed_part
from authhost_audit.rows import first_row
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Keyring
from authhost_audit.tables import batch_table, event_table, leaf_table


def proof(host: Host, settings: AuditSettings, event_id: UUID) -> dict[str, Any]:
    """The record, the way from it to the root of its batch, and the signed batch."""
    with host.reader.connect() as connection:
        event = first_row(connection, select(event_table).where(event_table.c.id == event_id))
        leaf = first_row(connection, select(leaf_table).where(leaf_table.c.event_id == event_id))
        if event is None or leaf is None:
            raise click.ClickException(
                "there is no such record, or it is not sealed yet; see `authhost audit seal`"
            )
        batch = first_row(connection, select(batch_table).where(batch_table.c.number == leaf["batch"]))
        leaves = connection.execute(
            select(leaf_table).where(leaf_table.c.batch == leaf["batch"]).order_by(leaf_table.c.position)
        ).all()
    hashes = [merkle.leaf_hash(leaf_data(each.event_id, each.kind, each.digest)) for each in leaves]
    keyring = Keyring(settings)
    sound = (
        batch is not None
        and record_digest(event, leaf["personal"]) == leaf["digest"]
        and merkle.root(hashes) == batch["root"]
        and keyring.verifies(batch["key_id"], canonical(header(batch)), batch["signature"])
        and not keyring.ends_before(batch["key_id"], batch["number"])
    )
    if batch is None or not sound:
        raise click.ClickException("it is not as it was sealed; see `authhost audit verify`")
    return {
        "record": sealed_part(event, leaf["personal"]),
        "kind": leaf["kind"],
        "path": [[side, other.hex()] for side, other in merkle.path(hashes, leaf["position"])],
        "seal": header(batch),
        "signature": batch["signature"].hex(),
        "public_key": base64.b64encode(keyring.keys[batch["key_id"]].key).decode(),
    }
