"""Inclusion proofs: anybody who has the public key can check that a record is in a sealed batch."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import click
from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_audit import merkle
from authhost_audit.digests import batch_header, canonical, leaf_data, record_digest, sealed_fields
from authhost_audit.rows import first_row
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Keyring
from authhost_audit.tables import batch_table, event_table, leaf_table


def proof(host: Host, settings: AuditSettings, event_id: UUID) -> dict[str, Any]:
    """Return a record, its audit path to the root of its batch, and the signed batch header.

    Raises `click.ClickException` if the record is unknown or not sealed, or if the
    record or its batch was changed.
    """
    with host.reader.connect() as connection:
        event = first_row(connection, select(event_table).where(event_table.c.id == event_id))
        leaf = first_row(connection, select(leaf_table).where(leaf_table.c.event_id == event_id))
        if event is None or leaf is None:
            raise click.ClickException(
                f"record {event_id} does not exist or is not sealed yet; run `authhost audit seal`"
            )
        batch = first_row(connection, select(batch_table).where(batch_table.c.number == leaf["batch"]))
        leaves = connection.execute(
            select(leaf_table).where(leaf_table.c.batch == leaf["batch"]).order_by(leaf_table.c.position)
        ).all()
    hashes = [merkle.leaf_hash(leaf_data(each.event_id, each.kind, each.digest)) for each in leaves]
    keyring = Keyring(settings)
    intact = (
        batch is not None
        and record_digest(event, leaf["personal"]) == leaf["digest"]
        and merkle.root(hashes) == batch["root"]
        and keyring.has_signed(batch["key_id"], canonical(batch_header(batch)), batch["signature"])
        and not keyring.retired_before(batch["key_id"], batch["number"])
    )
    if batch is None or not intact:
        raise click.ClickException(
            f"record {event_id} or its batch was changed after it was sealed; run `authhost audit verify`"
        )
    return {
        "record": sealed_fields(event, leaf["personal"]),
        "kind": leaf["kind"],
        "path": [[side, sibling.hex()] for side, sibling in merkle.audit_path(hashes, leaf["position"])],
        "seal": batch_header(batch),
        "signature": batch["signature"].hex(),
        "public_key": base64.b64encode(keyring.keys[batch["key_id"]].key).decode(),
    }
