"""The change of ``signing_key``, for ``authhost keys``.

1. ``distribute`` sets ``next_signing_key``, which all processes trust and none signs with.
2. ``activate`` makes it ``signing_key``. The public part of the former one goes to ``former_keys``.
3. ``close`` adds the newest batch to ``former_keys``, so that the former key can sign no later one.

The public part of a former key stays as long as the trail has a batch that it signed.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from authhost_hookspecs import Host, KeyChange, KeyState
from sqlalchemy import func, select

from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Signer, encode_key, key_id, new_key, trusted_keys
from authhost_audit.tables import batch_table

NAME = "audit.signing_key"
COMMAND = f"`authhost keys rotate {NAME}`"
DISTRIBUTE, ACTIVATE, CLOSE = "distribute", "activate", "close"


def key_states(host: Host) -> Iterator[KeyState]:
    """Yield the signing key, the next one and the former ones, with the number of batches of each."""
    settings: AuditSettings = host.plugin_settings("audit")
    with host.reader.connect() as connection:
        counted = select(batch_table.c.key_id, func.count().label("batches")).group_by(batch_table.c.key_id)
        batches: dict[str, int] = {row.key_id: row.batches for row in connection.execute(counted)}
    for each in trusted_keys(settings):
        name = key_id(each.key)
        count = batches.pop(name, 0)
        if each.status == "upcoming":
            to_do = f"restart all processes; then {COMMAND} activates it"
        elif each.status == "former" and each.last is None:
            to_do = f"{COMMAND} lets it sign no more batches"
        else:
            to_do = ""
        yield KeyState(name, each.status, count, None, to_do)
    for name, count in sorted(batches.items()):
        to_do = "add its public key to former_keys: `authhost audit verify` cannot verify its batches"
        yield KeyState(name, "missing", count, None, to_do)


def change_key(host: Host, phase: str | None) -> KeyChange:
    """Return a phase of the change, by default the next one. Raises ``ValueError`` if it is not possible."""
    settings: AuditSettings = host.plugin_settings("audit")
    open_keys = [each for each in _former(settings) if "@" not in each]
    if phase is None:
        phase = ACTIVATE if settings.next_signing_key else CLOSE if open_keys else DISTRIBUTE
    if phase == DISTRIBUTE:
        if settings.next_signing_key:
            raise ValueError(f"there is a next_signing_key that is not active yet: {COMMAND} activates it")
        new, _ = new_key()
        if not settings.signing_key:
            later = "restart all processes; then `authhost audit seal --every 10` seals the trail"
            return KeyChange(ACTIVATE, {"signing_key": new}, later)
        later = f"restart all processes; then {COMMAND} activates the new key"
        return KeyChange(DISTRIBUTE, {"next_signing_key": new}, later)
    if phase == ACTIVATE:
        if not settings.next_signing_key:
            raise ValueError(f"there is no next_signing_key: {COMMAND} --phase distribute adds one")
        former = encode_key(_signer(settings).public_key)
        changed = {
            "signing_key": settings.next_signing_key,
            "next_signing_key": "",
            "former_keys": ",".join([*_former(settings), former]),
        }
        question = "Were all processes restarted since next_signing_key was added?"
        later = f"restart all processes; then {COMMAND} lets the former key sign no more batches"
        return KeyChange(ACTIVATE, changed, later, question)
    if phase == CLOSE:
        if not open_keys:
            raise ValueError("each of former_keys names its last batch; `authhost keys list` shows them")
        question = "Were all processes restarted since the new key became active?"
        closed = {"former_keys": ",".join(_closed(host, settings))}
        later = f"restart all processes; then the change of {NAME} is complete"
        return KeyChange(CLOSE, closed, later, question)
    raise ValueError(f"the phases of {NAME} are {DISTRIBUTE}, {ACTIVATE} and {CLOSE}, not {phase}")


def _former(settings: AuditSettings) -> list[str]:
    return [each.strip() for each in settings.former_keys.split(",") if each.strip()]


def _closed(host: Host, settings: AuditSettings) -> Iterator[str]:
    """Yield the former keys, each with the last batch that it may have signed: the newest batch.

    Not the last batch that it did sign: until all processes were restarted, it may have signed
    records of removals after that.
    """
    with host.reader.connect() as connection:
        newest = connection.execute(select(func.max(batch_table.c.number))).scalar() or 0
    for each in _former(settings):
        yield each if "@" in each else f"{each}@{newest}"


def _signer(settings: AuditSettings) -> Signer:
    try:
        return Signer(settings)
    except click.ClickException as error:
        raise ValueError(error.message) from None
