"""``authhost email outbox``, ``retry``, ``cancel``, ``deliver``, ``worker`` and ``clean``."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import asdict
from uuid import UUID

import click
from authhost_hookspecs import CommandContext
from sqlalchemy import func, select

from authhost_email.commands.options import json_option, settings_of, uuid_callback
from authhost_email.errors import UnknownTransport
from authhost_email.outbox import OPEN_STATUSES, Outbox, change_status, clean as clean_outbox
from authhost_email.tables import outbox_table
from authhost_email.transports import describe_transport
from authhost_email.worker import deliver as deliver_and_log

HEADERS = {
    "id": "id",
    "created_at": "created",
    "kind": "message",
    "recipient": "recipient",
    "language": "language",
    "status": "status",
    "attempts": "attempts",
    "last_error": "error",
}
FINAL_STATUSES = ("sent", "dead", "cancelled", "superseded", "suppressed", "limited", "expired")
STATUSES = (*OPEN_STATUSES, *FINAL_STATUSES)
TIMER = threading.Event()
"""Never set: waiting for it with a time-out is a sleep that Ctrl-C interrupts."""


@click.command()
@click.option("--status", type=click.Choice(STATUSES))
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=50, show_default=True, help="Number of messages."
)
@json_option
@click.pass_obj
def outbox(context: CommandContext, /, status: str | None, count: int, as_json: bool) -> None:
    """List the newest messages.

    Their contents are not shown, because they contain keys.

    Example: authhost email outbox --status dead --json
    """
    newest = select(*(outbox_table.c[name] for name in HEADERS)).order_by(outbox_table.c.id.desc())
    if status:
        newest = newest.where(outbox_table.c.status == status)
    with context().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(newest.limit(count))][::-1]
    empty = f"there are no messages with the status {status}" if status else "the outbox is empty"
    context.console.print_rows(rows, headers=HEADERS, as_json=as_json, empty=empty)


@click.command()
@click.argument("identifier", callback=uuid_callback)
@click.pass_obj
def retry(context: CommandContext, /, identifier: UUID) -> None:
    """Try a message again now that was given up, or that waits.

    Example: authhost email retry 01a2b3c4-…
    """
    if not change_status(context(), identifier, "pending", of=("dead", "pending")):
        raise click.ClickException(
            f"the message {identifier} cannot be tried again: it does not exist, was already sent or "
            "cancelled, or its link has expired; see `authhost email outbox`"
        )
    context.console.print(f"the message {identifier} is due now")


@click.command()
@click.argument("identifier", callback=uuid_callback)
@click.pass_obj
def cancel(context: CommandContext, /, identifier: UUID) -> None:
    """Cancel a message that waits, or that was given up.

    Example: authhost email cancel 01a2b3c4-…
    """
    if not change_status(context(), identifier, "cancelled", of=("pending", "dead")):
        raise click.ClickException(
            f"the message {identifier} cannot be cancelled: it does not exist, or it is already final; "
            "see `authhost email outbox`"
        )
    context.console.print(f"the message {identifier} will not be sent")


@click.command()
@json_option
@click.pass_obj
def deliver(context: CommandContext, /, as_json: bool) -> None:
    """Deliver all messages that are due, once, and print the results.

    Failed messages are tried again later. Deferred messages wait, because their
    address has reached max_per_hour. Exits with 1 if a message failed.

    Example: authhost email deliver
    """
    host = context()
    try:
        with context.console.progress(None, "messages") as bar:
            result = Outbox(host, settings_of(host)).deliver(on_message=bar.advance)
    except UnknownTransport as error:
        raise click.ClickException(str(error)) from None
    status = outbox_table.c.status
    count = select(func.count()).select_from(outbox_table)
    with host.reader.connect() as connection:
        claimed = connection.execute(count.where(status == "sending")).scalar_one()
        waiting = connection.execute(count.where(status == "pending")).scalar_one()
    if as_json:
        row = {**asdict(result), "waiting": waiting, "with_another_worker": claimed}
        context.console.print_rows([row], as_json=True)
        raise SystemExit(1 if result.failed else 0)
    context.console.print(f"{result.sent} sent, {result.failed} failed, {result.deferred} deferred")
    if result.dropped:
        context.console.print(
            f"{result.dropped} dropped: their address is suppressed or their link has expired"
        )
    if waiting:
        context.console.print(f"{waiting} wait for a later attempt")
    if claimed:
        lease = settings_of(host).lease
        context.console.print(
            f"{claimed} are claimed by another worker; if it died, its claim ends after {lease:g} s"
        )
    if result.failed:
        raise click.ClickException("some messages failed; see `authhost email outbox`")


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two deliveries.",
)
@click.pass_obj
def worker(context: CommandContext, /, every: float) -> None:
    """Deliver messages until Ctrl-C. Several workers may run at the same time.

    Example: authhost email worker
    """
    host = context()
    settings = settings_of(host)
    messages = Outbox(host, settings)
    context.console.error(f"delivering by {describe_transport(settings)} every {every:g} s, until Ctrl-C")
    with suppress(KeyboardInterrupt):
        while True:
            sent = deliver_and_log(messages)
            if sent:
                context.console.print(f"{sent} sent")
            TIMER.wait(every)


@click.command()
@click.pass_obj
def clean(context: CommandContext, /) -> None:
    """Delete messages with a final status that are older than keep_sent_days.

    Example: authhost email clean
    """
    host = context()
    context.console.print(f"{clean_outbox(host, settings_of(host))} messages were deleted")
