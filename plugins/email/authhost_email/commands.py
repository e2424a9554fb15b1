"""``authhost email``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from contextlib import suppress as passing
from typing import Any
from uuid import UUID

import click
from authhost_hookspecs import Host
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_email import worker as working
from authhost_email.addresses import key
from authhost_email.errors import NoSuchTransport
from authhost_email.languages import SHIPPED
from authhost_email.outbox import OPEN, Outbox, change_status, clean, in_short
from authhost_email.rendering import KINDS, compose, render
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table
from authhost_email.transports import transport_of

GetHost = Callable[[], Host]
COLUMNS = ("id", "created_at", "kind", "recipient", "language", "status", "attempts", "last_error")
STATUSES = (*OPEN, "sent", "dead", "cancelled", "suppressed", "limited", "expired")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
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
        raise click.BadParameter("this is no address") from None


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
    newest = select(*(outbox_table.c[name] for name in COLUMNS)).order_by(outbox_table.c.id.desc())
    if status:
        newest = newest.where(outbox_table.c.status == status)
    with get_host().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(newest.limit(count))][::-1]
    _show(rows, COLUMNS, as_json)


@email.command()
@click.argument("identifier", callback=_uuid)
@click.pass_obj
def retry(get_host: GetHost, /, identifier: UUID) -> None:
    """Try a message again that was given up or waits.

    Example: authhost email retry 01a2b3c4-…
    """
    if not change_status(get_host(), identifier, "pending", of=("dead", "pending")):
        raise click.ClickException("there is no such message that could be tried again")
    click.echo("it is due now")


@email.command()
@click.argument("identifier", callback=_uuid)
@click.pass_obj
def cancel(get_host: GetHost, /, identifier: UUID) -> None:
    """Do not send a message that waits.

    Example: authhost email cancel 01a2b3c4-…
    """
    if not change_status(get_host(), identifier, "cancelled", of=("pending", "dead")):
        raise click.ClickException("there is no such message that waits")
    click.echo("it will not be sent")


@email.command()
@click.pass_obj
def deliver(get_host: GetHost, /) -> None:
    """Deliver what is due, once.

    Example: authhost email deliver
    """
    host = get_host()
    try:
        click.echo(f"{Outbox(host, _settings(host)).deliver_pending()} sent")
    except NoSuchTransport as error:
        raise click.ClickException(str(error)) from None


@email.command()
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds.")
@click.pass_obj
def worker(get_host: GetHost, /, every: float) -> None:
    """Deliver what is due until Ctrl-C. Several may run at once.

    Example: authhost email worker
    """
    host = get_host()
    outbox = Outbox(host, _settings(host))
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
    _show(rows, ("recipient", "reason", "created_at"), as_json)


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
    settings = _settings(get_host())
    if serve:
        from authhost_email.preview import server

        try:
            running = server(settings, port)
        except OSError as error:
            raise click.ClickException(f"port {port} cannot be had: {error.strerror}") from None
        with running, passing(KeyboardInterrupt):
            click.echo(f"http://127.0.0.1:{running.server_port}/ until Ctrl-C")
            running.serve_forever()
        return
    if kind is None:
        raise click.UsageError(f"name a message, or use --serve; there are {', '.join(KINDS)}")
    rendered = render(settings, kind, RECIPIENT, language, sample(kind))
    click.echo(rendered.html if html else f"{rendered.subject}\n\n{rendered.text}", nl=False)


@email.command("send-test")
@click.argument("to")
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
        rendered = render(settings, kind, to, language, sample(kind))
        with closing(transport):
            transport.send(identifier, to, compose(settings, rendered, identifier, to, host.now))
    except NoSuchTransport as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # a template and a transport may do anything
        raise click.ClickException(f"{settings.transport} did not take it: {in_short(error)}") from None
    click.echo(f"{settings.transport} took it")


def _show(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    Console().print(table)
