"""``authhost email outbox``, ``retry``, ``cancel``, ``deliver``, ``worker`` and ``clean``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from authhost_hookspecs import CommandContext

from authhost_email.commands.options import (
    find_message,
    json_option,
    message_callback,
    print_result,
    settings_of,
)
from authhost_email.errors import UnknownTransport
from authhost_email.statuses import STATUSES
from authhost_email.transports import describe_transport

if TYPE_CHECKING:
    from authhost_email.outbox import DeliveryResult

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
TIMER = threading.Event()
"""Never set: waiting for it with a time-out is a sleep that Ctrl-C interrupts."""


@click.command()
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    metavar="STATUS",
    help=f"Only messages with this status: {', '.join(STATUSES)}.",
)
@click.option(
    "-n", "--count", type=click.IntRange(min=1), default=50, show_default=True, help="Number of messages."
)
@json_option
@click.pass_obj
def outbox(context: CommandContext, /, status: str | None, count: int, as_json: bool) -> None:
    """List the newest messages.

    Their contents are not shown, because they contain keys.

    Example: authhost email outbox --status dead --json
    """
    from sqlalchemy import select

    from authhost_email.tables import outbox_table

    newest = select(*(outbox_table.c[name] for name in HEADERS)).order_by(outbox_table.c.id.desc())
    if status:
        newest = newest.where(outbox_table.c.status == status)
    with context().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(newest.limit(count))][::-1]
    empty = f"there are no messages with the status {status}" if status else "the outbox is empty"
    context.console.print_rows(rows, headers=HEADERS, as_json=as_json, empty=empty)


@click.command()
@click.argument("message", metavar="ID", callback=message_callback)
@json_option
@click.pass_obj
def retry(context: CommandContext, /, message: str, as_json: bool) -> None:
    """Try a message again now that was given up, or that waits.

    ID is the identifier in `authhost email outbox`, or as many of its first digits as
    are unambiguous.

    Example: authhost email retry 01a2b3c4-…
    """
    from authhost_email.outbox import change_status

    host = context()
    identifier = find_message(host, message)
    if not change_status(host, identifier, "pending", of=("dead", "pending")):
        raise click.ClickException(
            f"the message {identifier} cannot be tried again: it does not exist, was already sent or "
            "cancelled, or its link has expired; see `authhost email outbox`"
        )
    result = {"id": identifier, "status": "pending"}
    print_result(context.console, result, f"the message {identifier} is due now", as_json=as_json)


@click.command()
@click.argument("message", metavar="ID", callback=message_callback)
@json_option
@click.pass_obj
def cancel(context: CommandContext, /, message: str, as_json: bool) -> None:
    """Cancel a message that waits, or that was given up.

    ID is the identifier in `authhost email outbox`, or as many of its first digits as
    are unambiguous.

    Example: authhost email cancel 01a2b3c4-…
    """
    from authhost_email.outbox import change_status

    host = context()
    identifier = find_message(host, message)
    if not change_status(host, identifier, "cancelled", of=("pending", "dead")):
        raise click.ClickException(
            f"the message {identifier} cannot be cancelled: it does not exist, or it is already final; "
            "see `authhost email outbox`"
        )
    result = {"id": identifier, "status": "cancelled"}
    print_result(context.console, result, f"the message {identifier} will not be sent", as_json=as_json)


@click.command()
@json_option
@click.pass_obj
def deliver(context: CommandContext, /, as_json: bool) -> None:
    """Deliver all messages that are due, once, and print the results.

    Failed messages are tried again later. Deferred messages wait, because their
    address has reached max_per_hour. Exits with 1 if a message failed.

    Example: authhost email deliver
    """
    from sqlalchemy import func, select

    from authhost_email.outbox import Outbox
    from authhost_email.tables import outbox_table

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
@json_option
@click.pass_obj
def worker(context: CommandContext, /, every: float, as_json: bool) -> None:
    """Deliver messages until Ctrl-C. Several workers may run at the same time.

    Prints one line for each delivery that had messages.

    Example: authhost email worker
    """
    from authhost_email.outbox import DeliveryResult, Outbox
    from authhost_email.worker import deliver as deliver_and_log

    host = context()
    settings = settings_of(host)
    messages = Outbox(host, settings)
    context.console.error(f"delivering by {describe_transport(settings)} every {every:g} s, until Ctrl-C")
    with suppress(KeyboardInterrupt):
        while True:
            result = deliver_and_log(messages)
            if result != DeliveryResult():
                row = {"time": host.now, **asdict(result)}
                sentence = f"{host.now:%Y-%m-%dT%H:%M:%SZ}: {', '.join(_numbers(result))}"
                print_result(context.console, row, sentence, as_json=as_json)
            TIMER.wait(every)


def _numbers(result: DeliveryResult) -> Iterator[str]:
    """Yield the numbers of sent messages, and all others that are not 0."""
    for name, number in asdict(result).items():
        if number or name == "sent":
            yield f"{number} {name}"


@click.command()
@json_option
@click.pass_obj
def clean(context: CommandContext, /, as_json: bool) -> None:
    """Delete messages with a final status that are older than keep_sent_days.

    Example: authhost email clean
    """
    from authhost_email.outbox import clean as clean_outbox

    host = context()
    count = clean_outbox(host, settings_of(host))
    print_result(context.console, {"deleted": count}, f"{count} messages were deleted", as_json=as_json)
