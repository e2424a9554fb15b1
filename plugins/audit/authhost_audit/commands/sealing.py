"""``authhost audit new-key``, ``seal``, ``verify`` and ``proof``."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click
from authhost_hookspecs import CommandContext, Console, Host

from authhost_audit.commands.options import (
    TIMER,
    every_option,
    json_option,
    settings_of,
    until_ctrl_c,
    uuid_callback,
)

if TYPE_CHECKING:
    from authhost_audit.violations import Violation

CLOCK_CHECK_INTERVAL = timedelta(hours=1)
"""A sealer that runs as a service looks this often for wrong clocks and skipped records."""
MAX_NOTES = 10
"""Notes that `verify` prints without ``--json``."""


@click.command("new-key")
@json_option
def new_key(as_json: bool) -> None:
    """Create a signing key.

    Example: authhost audit new-key
    """
    from authhost_audit.signing import new_key

    secret, public = new_key()
    if as_json:
        click.echo(json.dumps({"signing_key": secret, "public_key": public}))
        return
    click.echo(f"AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY={secret}")
    click.echo(f"public key, for people who verify proofs, and later for former_keys: {public}", err=True)


@click.command()
@every_option
@json_option
@click.pass_obj
@until_ctrl_c
def seal(context: CommandContext, /, every: float | None, as_json: bool) -> None:
    """Seal all unsealed records, and send the checkpoints to the receivers.

    A receiver also gets the checkpoints that it has missed before.

    Examples:

      authhost audit seal

      authhost audit seal --every 10
    """
    from authhost_audit.checkpoints import build_checkpoint, seal_and_push

    host = context()
    settings = settings_of(host)
    checked: datetime | None = None
    while True:
        checked = warn_about_clocks(host, context.console, checked)
        for batch, failed in context.console.progress(seal_and_push(host, settings), "batches"):
            if as_json:
                row = {**build_checkpoint(batch), "not_pushed_to": failed}
                context.console.print_rows([row], as_json=True)
            else:
                missed = f"; checkpoint not sent to {' and '.join(failed)}" if failed else ""
                context.console.print(f"batch {batch['number']}: {batch['size']} records{missed}")
        if every is None:
            return
        TIMER.wait(every)


def warn_about_clocks(host: Host, console: Console, checked: datetime | None) -> datetime:
    """Print warnings about the sealers' clocks, at most once in `CLOCK_CHECK_INTERVAL`.

    ``checked`` is the time of the last check. Returns the new one.
    """
    from authhost_audit.clocks import clock_warnings

    if checked is not None and checked <= host.now < checked + CLOCK_CHECK_INTERVAL:
        return checked
    for each in clock_warnings(host):
        console.error(f"warning: {each}")
    return host.now


@click.command()
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compare with the checkpoints in this file, which is stored outside the database.",
)
@click.option("--all", "everything", is_flag=True, help="List all violations, not only the first one.")
@json_option
@click.pass_obj
def verify(context: CommandContext, /, checkpoint: Path | None, everything: bool, as_json: bool) -> None:
    """Check whether records were changed, removed, inserted or reordered.

    Exits with 1 if there is a violation, or if no record is sealed. Also prints
    how many records are not sealed yet.

    Example: authhost audit verify --checkpoint /mnt/other/checkpoints.jsonl
    """
    from authhost_audit.clocks import format_time
    from authhost_audit.verification import total, unsealed, verify
    from authhost_audit.violations import Note, Violation

    host = context()
    settings = settings_of(host)
    if checkpoint is not None and not checkpoint.exists():
        raise click.ClickException(f"the checkpoint file {checkpoint} does not exist")
    path = checkpoint or (Path(settings.checkpoint_file) if settings.checkpoint_file else None)
    violations: list[Violation] = []
    notes: list[Note] = []
    verified = 0
    with context.console.progress(total(host), "records") as bar:
        for found in verify(host, settings, path):
            if isinstance(found, Violation):
                violations.append(found)
                if not everything:
                    break
            elif isinstance(found, Note):
                notes.append(found)
            else:
                verified += found
                bar.advance(found)
    count, since = unsealed(host)
    left = {"unsealed": count, "unsealed_since": since.isoformat() if since else None}
    for note in notes[:MAX_NOTES]:
        context.console.error(f"note: {note.why}")
    if len(notes) > MAX_NOTES:
        context.console.error(f"note: {len(notes) - MAX_NOTES} more notes; --json shows all")
    for each in violations:
        line = {
            "what": each.what,
            "batch": each.batch,
            "record": str(each.record) if each.record else None,
            "why": each.why,
            "intact": False,
            **left,
        }
        if as_json:
            context.console.print_rows([line], as_json=True)
        else:
            context.console.print(_sentence(each))
    if as_json and not violations:
        reasons = [note.why for note in notes]
        row = {"records": verified, "intact": True, **left, "notes": reasons}
        context.console.print_rows([row], as_json=True)
    elif not as_json:
        if not violations:
            context.console.print(f"{verified:,} sealed records are intact")
        if count and total(host):
            context.console.print(
                f"{count:,} records are not sealed yet, the oldest is from {format_time(since)}; until "
                "`authhost audit seal` seals them, only the database protects them"
            )
    if violations:
        sys.exit(1)


def _sentence(violation: Violation) -> str:
    batch = f"batch {violation.batch}" if violation.batch is not None else "the trail"
    record = f", record {violation.record}" if violation.record else ""
    return f"{violation.what}: {batch}{record}: {violation.why}"


@click.command()
@click.argument("event_id", callback=uuid_callback)
@click.pass_obj
def proof(context: CommandContext, /, event_id: UUID) -> None:
    """Print a proof that a record is in a sealed batch.

    Other people can check the proof without access to the database.

    Example: authhost audit proof 01a2b3c4-… > proof.json
    """
    from authhost_audit.proofs import proof

    host = context()
    context.console.print(json.dumps(proof(host, settings_of(host), event_id), indent=2))
