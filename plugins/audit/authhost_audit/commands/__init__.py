"""The commands ``authhost audit``."""

from __future__ import annotations

import click

from authhost_audit.commands.forwarding import forward
from authhost_audit.commands.reading import export, search, show, tail, top
from authhost_audit.commands.retention import forget, prune
from authhost_audit.commands.sealing import new_key, proof, seal, verify


@click.group()
def audit() -> None:
    """Read, seal, verify and forward the audit trail."""


for _command in (tail, search, show, top, export, new_key, seal, verify, proof, forward, prune, forget):
    audit.add_command(_command)

__all__ = ["audit"]
