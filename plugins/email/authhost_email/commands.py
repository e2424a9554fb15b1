"""``authhost email``."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_email.outbox import Outbox
from authhost_email.tables import outbox_table

COLUMNS = ("id", "created_at", "kind", "recipient", "status", "attempts", "last_error")


@click.group()
def email() -> None:
    """Look at the outbox, and deliver from it."""


@email.command()
@click.option("--status", type=click.Choice(["pending", "sending", "sent", "failed"]))
@click.option("-n", "count", default=50, show_default=True, help="How many messages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.pass_obj
def outbox(get_host: Callable[[], Host], status: str | None, count: int, as_json: bool) -> None:
    """List the newest messages; their contents are not shown, since they hold keys.

    Example: authhost email outbox --status failed --json
    """
    newest = select(*(outbox_table.c[name] for name in COLUMNS)).order_by(outbox_table.c.id.desc())
    if status:
        newest = newest.where(outbox_table.c.status == status)
    with get_host().engine.connect() as connection:
        rows = connection.execute(newest.limit(count)).mappings().all()[::-1]
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(row), default=str))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@email.command()
@click.pass_obj
def deliver(get_host: Callable[[], Host]) -> None:
    """Deliver what is due, once.

    Example: authhost email deliver
    """
    host = get_host()
    sent = Outbox(host.engine, host.plugin_settings("email")).deliver_pending()
    click.echo(f"{sent} sent")
