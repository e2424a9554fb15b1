"""``authhost audit``."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
from authhost_hookspecs import Host
from sqlalchemy import select

from authhost_audit.tables import event_table

COLUMNS = ("time", "event", "outcome", "reason", "flow", "user_id", "ip_address", "details")


@click.group()
def audit() -> None:
    """Read the audit trail."""


@audit.command()
@click.option("-n", "count", default=20, show_default=True, help="How many events.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.pass_obj
def tail(get_host: Callable[[], Host], count: int, as_json: bool) -> None:
    """Show the newest events, the oldest of them first.

    Example: authhost audit tail -n 50 --json
    """
    newest = select(event_table).order_by(event_table.c.id.desc()).limit(count)
    with get_host().engine.connect() as connection:
        rows = connection.execute(newest).mappings().all()[::-1]
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(row), default=str))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("time", "event", "why", "user", "from", "details")
    for row in rows:
        why = f"{row['flow']}: {row['reason']}" if row["reason"] else ""
        user = str(row["user_id"])[-12:] if row["user_id"] else ""
        details = ", ".join(f"{name} {value}" for name, value in row["details"].items())
        table.add_row(f"{row['time']:%H:%M:%S}", row["event"], why, user, row["ip_address"] or "", details)
    Console().print(table)
