"""Each seal goes out of the database's reach as a small signed checkpoint.

A receiver that was away gets what it has missed with the next seal, in order.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_audit.cursors import advance, cursor
from authhost_audit.digests import header, plain
from authhost_audit.forwarding import Refused, Sink, sinks
from authhost_audit.rows import all_rows
from authhost_audit.sealing import Batch, seal
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table

CHUNK = 100
"""Checkpoints that are pushed at once."""

log = logging.getLogger("authhost.audit")


class CheckpointFile:
    """A file, put where the database's owner cannot write; a line of JSON for each seal."""

    name = "checkpoint_file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Taken is what is on the disk."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Refused(type(error).__name__) from error


def checkpoint_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Enough to see later that the chain was made anew or cut short."""
    return {**header(batch), "signature": plain(batch["signature"])}


def seal_and_push(host: Host, settings: AuditSettings) -> Iterator[tuple[Batch, list[str]]]:
    """Seal what is not sealed, push each seal out, and what was missed; yield it with who missed it.

    The seal stands all the same. Who misses one is not asked again in this run.
    """
    missing = _receivers(settings)
    for batch in seal(host, settings):
        missing = [each for each in missing if _caught_up(host, each, batch["number"])]
        taken = {each.name for each in missing}
        yield batch, [each.name for each in _receivers(settings) if each.name not in taken]
    for receiver in missing:
        _caught_up(host, receiver)


def _receivers(settings: AuditSettings) -> list[Sink]:
    files: list[Sink] = [CheckpointFile(Path(settings.checkpoint_file))] if settings.checkpoint_file else []
    return files + sinks(settings)


def _caught_up(host: Host, receiver: Sink, sealed: int | None = None) -> bool:
    """Push what it has not taken; ``sealed`` was sealed just now, whatever the database says is taken."""
    name = f"checkpoint:{receiver.name}"
    with host.reader.connect() as connection:
        taken, _ = cursor(connection, name)
    if sealed is not None:
        taken = min(taken, sealed - 1)
    newer = select(batch_table).order_by(batch_table.c.number).limit(CHUNK)
    try:
        while True:
            with host.reader.connect() as connection:
                batches = all_rows(connection, newer.where(batch_table.c.number > taken))
            if not batches:
                return True
            receiver.send([{"event": "checkpoint", **checkpoint_of(each)} for each in batches])
            taken = batches[-1]["number"]
            advance(host, name, taken)
    except Refused as error:
        log.error("%s did not take the checkpoint: %s", receiver.name, error)
        return False
