"""``authhost analytics``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import click
from authhost_hookspecs import Host
from sqlalchemy import func, select

from authhost_analytics.tables import event_table


@click.group()
def analytics() -> None:
    """Read the figures."""


@analytics.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="The first day.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.pass_obj
def report(
    get_host: Callable[[], Host], since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """Count events by day, outcome and provider.

    Example: authhost analytics report --since 2026-01-01 --json
    """
    table = event_table.c
    columns = (table.day, table.event, table.outcome, table.provider)
    counts = select(*columns, func.count().label("count")).group_by(*columns).order_by(*columns)
    if since:
        counts = counts.where(event_table.c.day >= since.date())
    if until:
        counts = counts.where(event_table.c.day <= until.date())
    with get_host().engine.connect() as connection:
        rows = connection.execute(counts).mappings().all()
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(row), default=str))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table("day", "event", "outcome", "provider", "count")
    for row in rows:
        shown.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(shown)
