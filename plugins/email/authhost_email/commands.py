"""``authhost email``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from contextlib import suppress as passing
from dataclasses import asdict
from uuid import UUID

import click
from authhost_hookspecs import Host
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_email import worker as working
from authhost_email.addresses import is_plain, key
from authhost_email.console import emit, json_option
from authhost_email.errors import NoSuchTransport
from authhost_email.languages import SHIPPED
from authhost_email.outbox import OPEN, Outbox, change_status, clean, in_short
from authhost_email.rendering import KINDS, compose, render
from authhost_email.samples import RECIPIENT, sample_of
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table
from authhost_email.transports import transport_of, where

GetHost = Callable[[], Host]
HEADERS = {
    "id": "id",
    "created_at": "created",
    "kind": "message",
    "recipient": "recipient",
    "language": "language",
    "status": "status",
    "attempts": "tries",
    "last_error": "error",
}
SUPPRESSED = {"recipient": "address", "reason": "reason", "created_at": "since"}
STATUSES = (*OPEN, "sent", "dead", "cancelled", "superseded", "suppressed", "limited", "expired")
language_option = click.option("--language", type=click.Choice(SHIPPED), default="en", show_default=True)
NEVER = threading.Event()
"""Waiting for it is sleeping, which Ctrl-C ends."""


@click.group()
def email() -> None:
    """Look at the outbox and at messages, and deliver."""


def _settings(host: Host) -> EmailSettings:
    settings: EmailSettings = host.plugin_settings("email")
    return settings


def _uuid(context: click.Context, parameter: click.Parameter, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise click.BadParameter("this is no identifier; see `authhost email outbox`") from None


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return key(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no e-mail address") from None


def _recipient(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not is_plain(value):
        raise click.BadParameter(f"{value!r} is no e-mail address")
    return value


# The outbox.


@email.command()
@click.option("--status", type=click.Choice(STATUSES))
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=50, show_default=True, help="How many messages."
)
@json_option
@click.pass_obj
def outbox(get_host: GetHost, /, status: str | None, count: int, as_json: bool) -> None:
    """List the newest messages; their contents are not shown, since they hold keys.

    Example: authhost email outbox --status dead --json
    """
    newest = select(*(outbox_table.c[name] for name in HEADERS)).order_by(outbox_table.c.id.desc())
    if status:
        newest = newest.where(outbox_table.c.status == status)
    with get_host().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(newest.limit(count))][::-1]
    emit(rows, HEADERS, as_json, empty="there are no such messages" if status else "the outbox is empty")


@email.command()
@click.argument("identifier", callback=_uuid)
@click.pass_obj
def retry(get_host: GetHost, /, identifier: UUID) -> None:
    """Try a message again that was given up or waits.

    Example: authhost email retry 01a2b3c4-…
    """
    if not change_status(get_host(), identifier, "pending", of=("dead", "pending")):
        raise click.ClickException(
            f"there is no such message that could be tried again: {identifier} is unknown, "
            "or was sent or cancelled, or its link has ended"
        )
    click.echo("it is due now")


@email.command()
@click.argument("identifier", callback=_uuid)
@click.pass_obj
def cancel(get_host: GetHost, /, identifier: UUID) -> None:
    """Do not send a message that waits.

    Example: authhost email cancel 01a2b3c4-…
    """
    if not change_status(get_host(), identifier, "cancelled", of=("pending", "dead")):
        raise click.ClickException(
            f"there is no such message that waits: {identifier} is unknown or done with"
        )
    click.echo("it will not be sent")


@email.command()
@json_option
@click.pass_obj
def deliver(get_host: GetHost, /, as_json: bool) -> None:
    """Deliver all that is due, once, and say what became of it.

    Messages that failed are tried again later; those that are deferred wait
    for their turn, since their address got max_per_hour messages. Exits 1
    where a message failed.

    Example: authhost email deliver
    """
    host = get_host()
    try:
        done = Outbox(host, _settings(host)).deliver()
    except NoSuchTransport as error:
        raise click.ClickException(str(error)) from None
    table = outbox_table.c
    number = select(func.count()).select_from(outbox_table)
    with host.reader.connect() as connection:
        elsewhere = connection.execute(number.where(table.status == "sending")).scalar_one()
        waiting = connection.execute(number.where(table.status == "pending")).scalar_one()
    if as_json:
        click.echo(json.dumps({**asdict(done), "waiting": waiting, "with_another_worker": elsewhere}))
        raise SystemExit(1 if done.failed else 0)
    click.echo(f"{done.sent} sent, {done.failed} failed, {done.deferred} deferred")
    if done.dropped:
        click.echo(f"{done.dropped} not to be sent any more")
    if waiting:
        click.echo(f"{waiting} wait for a later try")
    if elsewhere:
        click.echo(
            f"{elsewhere} are with another worker; one that died loses them after {_settings(host).lease:g} s"
        )
    if done.failed:
        raise click.ClickException("some messages failed; see `authhost email outbox`")


@email.command()
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds.")
@click.pass_obj
def worker(get_host: GetHost, /, every: float) -> None:
    """Deliver what is due until Ctrl-C. Several may run at once.

    Example: authhost email worker
    """
    host = get_host()
    settings = _settings(host)
    outbox = Outbox(host, settings)
    click.echo(f"delivering by {where(settings)} every {every:g} s, until Ctrl-C", err=True)
    with passing(KeyboardInterrupt):
        while True:
            sent = working.deliver(outbox)
            if sent:
                click.echo(f"{sent} sent")
            NEVER.wait(every)


@email.command("clean")
@click.pass_obj
def clean_command(get_host: GetHost, /) -> None:
    """Delete what was done with more than keep_sent_days ago.

    Example: authhost email clean
    """
    host = get_host()
    click.echo(f"{clean(host, _settings(host))} messages were deleted")


# Addresses that get no mail.


@email.command()
@click.argument("address", callback=_address)
@click.option("--reason", default="by hand", show_default=True)
@click.pass_obj
def suppress(get_host: GetHost, /, address: str, reason: str) -> None:
    """Send nothing to an address any more, such as one that bounces.

    Example: authhost email suppress ann@example.org --reason bounced
    """
    host = get_host()
    row = {"recipient": address, "reason": reason[:255], "created_at": host.now}
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(suppression_table).values(row))
    except IntegrityError:
        raise click.ClickException(f"{address} is suppressed already") from None
    click.echo(f"nothing will be sent to {address}")


@email.command()
@click.argument("address", callback=_address)
@click.pass_obj
def allow(get_host: GetHost, /, address: str) -> None:
    """Send to an address again.

    Example: authhost email allow ann@example.org
    """
    here = suppression_table.c.recipient == address
    with get_host().engine.begin() as connection:
        if not connection.execute(delete(suppression_table).where(here)).rowcount:
            raise click.ClickException(f"{address} is not suppressed")
    click.echo(f"{address} gets mail again")


@email.command()
@json_option
@click.pass_obj
def suppressed(get_host: GetHost, /, as_json: bool) -> None:
    """List the addresses that get no mail.

    Example: authhost email suppressed --json
    """
    with get_host().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(select(suppression_table))]
    emit(rows, SUPPRESSED, as_json, empty="no address is suppressed")


# Looking at messages.


@email.command()
@click.argument("kind", type=click.Choice(KINDS), required=False)
@language_option
@click.option("--html", is_flag=True, help="Print the HTML part.")
@click.option("--serve", is_flag=True, help="Show all messages in a browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True)
@click.pass_obj
def preview(
    get_host: GetHost, /, kind: str | None, language: str, html: bool, serve: bool, port: int
) -> None:
    """Show messages with sample data.

    Examples:

      authhost email preview password_reset --language de

      authhost email preview --serve
    """
    host = get_host()
    settings, about = _settings(host), sample_of(host)
    if serve:
        from authhost_email.preview import server

        try:
            running = server(settings, port, about)
        except OSError as error:
            raise click.ClickException(f"port {port} cannot be had: {error.strerror}") from None
        with running, passing(KeyboardInterrupt):
            click.echo(f"http://127.0.0.1:{running.server_port}/ until Ctrl-C")
            running.serve_forever()
        return
    if kind is None:
        raise click.UsageError(f"name a message, or use --serve; there are {', '.join(KINDS)}")
    rendered = render(settings, kind, RECIPIENT, language, about(kind))
    click.echo(rendered.html if html else f"{rendered.subject}\n\n{rendered.text}", nl=False)


@email.command("send-test")
@click.argument("to", callback=_recipient)
@click.option("--kind", type=click.Choice(KINDS), default="email_confirmation", show_default=True)
@language_option
@click.pass_obj
def send_test(get_host: GetHost, /, to: str, kind: str, language: str) -> None:
    """Send a message with sample data, at once, to see whether the transport works.

    Example: authhost email send-test me@example.org
    """
    host = get_host()
    settings = _settings(host)
    identifier = host.new_id()
    try:
        transport = transport_of(settings)
        rendered = render(settings, kind, to, language, sample_of(host)(kind))
        with closing(transport):
            transport.send(identifier, to, compose(settings, rendered, identifier, to, host.now))
    except NoSuchTransport as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # a template and a transport may do anything
        raise click.ClickException(f"{settings.transport} did not take it: {in_short(error)}") from None
    click.echo(f"{settings.transport} took it ({where(settings)})")
