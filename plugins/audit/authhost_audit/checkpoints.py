"""Each seal goes out of the database's reach as a small signed checkpoint."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from authhost_audit.digests import header, plain
from authhost_audit.forwarding import Refused, sinks
from authhost_audit.settings import AuditSettings

log = logging.getLogger("authhost.audit")


def checkpoint_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Enough to see later that the chain was made anew or cut short."""
    return {**header(batch), "signature": plain(batch["signature"])}


def push(settings: AuditSettings, batch: Mapping[str, Any]) -> list[str]:
    """Push a seal to all that is set up; return who did not take it. The seal stands all the same."""
    checkpoint = checkpoint_of(batch)
    failed = []
    if settings.checkpoint_file:
        try:
            _append(Path(settings.checkpoint_file), json.dumps(checkpoint))
        except OSError as error:
            log.error("the checkpoint file could not be written: %s", type(error).__name__)
            failed.append("checkpoint_file")
    for sink in sinks(settings):
        try:
            sink.send([{"event": "checkpoint", **checkpoint}])
        except Refused as error:
            log.error("%s did not take the checkpoint: %s", sink.name, error)
            failed.append(sink.name)
    return failed


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
