"""Rows as a table for people, or as JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")


def emit(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    """Print ``rows``; ``empty`` is what people read when there are none."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold")  # an address that is cut short is of no use
    for row in rows:
        # As text: rich would take a word in brackets, such as an extra of pip, for markup.
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    Console().print(table)
