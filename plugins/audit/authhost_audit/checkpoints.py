"""Checkpoints: small signed copies of each batch header, which are stored outside the database.

A receiver that was unavailable gets the missed checkpoints with the next batch,
in order. `authhost_audit.verification` compares the checkpoints of a file with
the database.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_audit.clocks import Batch
from authhost_audit.cursors import advance_cursor, read_cursor
from authhost_audit.digests import batch_header, canonical, json_value
from authhost_audit.forwarding import ReceiverError, Sink, sinks
from authhost_audit.rows import all_rows
from authhost_audit.sealing import seal
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Keyring, decode_signature
from authhost_audit.tables import batch_table

CHUNK = 100
"""Checkpoints that are sent at once."""

log = logging.getLogger("authhost.audit")


class CheckpointFile:
    """A file with one line of JSON for each batch. The owner of the database should not have write access."""

    name = "checkpoint_file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append the lines and wait until they are on the disk. Raises `ReceiverError`."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ReceiverError(type(error).__name__) from error


def build_checkpoint(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checkpoint of a batch. It proves later whether the chain was replaced or shortened."""
    return {**batch_header(batch), "signature": json_value(batch["signature"])}


# Sending.


def seal_and_push(host: Host, settings: AuditSettings) -> Iterator[tuple[Batch, list[str]]]:
    """Seal all unsealed records and send the checkpoints, including those that a receiver has missed.

    Yields each new batch and the names of the receivers that did not receive its
    checkpoint. The batch is stored even if no receiver is available. After a
    failure, a receiver is not tried again during this call.
    """
    available = _receivers(settings)
    for batch in seal(host, settings):
        available = [each for each in available if _push_pending(host, each, batch["number"])]
        received = {each.name for each in available}
        yield batch, [each.name for each in _receivers(settings) if each.name not in received]
    for receiver in available:
        _push_pending(host, receiver)


def _receivers(settings: AuditSettings) -> list[Sink]:
    files: list[Sink] = [CheckpointFile(Path(settings.checkpoint_file))] if settings.checkpoint_file else []
    return files + sinks(settings)


def _push_pending(host: Host, receiver: Sink, sealed: int | None = None) -> bool:
    """Send all checkpoints that the receiver has not received. Returns whether it received all.

    ``sealed`` is the number of a batch that was sealed just now. Its checkpoint is
    sent even if the cursor in the database says that it was received.
    """
    name = f"checkpoint:{receiver.name}"
    with host.reader.connect() as connection:
        received, _ = read_cursor(connection, name)
    if sealed is not None:
        received = min(received, sealed - 1)
    newer = select(batch_table).order_by(batch_table.c.number).limit(CHUNK)
    try:
        while True:
            with host.reader.connect() as connection:
                batches = all_rows(connection, newer.where(batch_table.c.number > received))
            if not batches:
                return True
            receiver.send([{"event": "checkpoint", **build_checkpoint(each)} for each in batches])
            received = batches[-1]["number"]
            advance_cursor(host, name, received)
    except ReceiverError as error:
        log.error("%s did not receive the checkpoint: %s", receiver.name, error)
        return False


# Reading.


class Checkpoints(NamedTuple):
    """The valid checkpoints of a file."""

    digests: dict[int, str]
    """The digest of each batch, by the batch's number."""
    conflicts: list[int]
    """The numbers for which the file has checkpoints of two different batches."""


def read_checkpoints(path: Path, keyring: Keyring) -> Checkpoints:
    """Return the checkpoints of a file that a trusted key has signed. All other lines are ignored."""
    found = Checkpoints({}, [])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            header = json.loads(line)
            header.pop("event", None)
            signature = decode_signature(header.pop("signature"))
            if not keyring.has_signed(header["key_id"], canonical(header), signature):
                continue
            if keyring.retired_before(header["key_id"], header["number"]):
                continue
            number, digest = int(header["number"]), hashlib.sha256(canonical(header)).hexdigest()
            if found.digests.setdefault(number, digest) != digest:
                found.conflicts.append(number)
    return found


# Old names, which are removed in version 0.3.
checkpoint_of = build_checkpoint
