"""Rows as a table for people, or as JSON lines for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from authhost_email.tables import utc

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
UNBOUNDED = 10_000


def emit(rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str], as_json: bool, *, empty: str) -> None:
    """Print the columns that ``headers`` names; ``empty`` is what people read when there are no rows.

    Where a table does not fit the terminal, the values of a row stand below
    each other, so that an identifier is never cut. A pipe is as wide as it needs.
    """
    if as_json:
        for row in rows:
            click.echo(json.dumps({name: _plain(row[name]) for name in headers}, default=str))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    cells = [[_text(row[name]) for name in headers] for row in rows]
    table, console = Table(), Console()
    for number, header in enumerate(headers.values()):
        # Sentences are wrapped; an identifier or an address that is cut is of no use.
        table.add_column(header, no_wrap=not any(" " in texts[number] for texts in cells))
    for texts in cells:
        table.add_row(*map(Text, texts))  # as text: what looks like markup is none
    needs = Measurement.get(console, console.options.update(max_width=UNBOUNDED), table)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=needs.maximum)
    if needs.minimum <= console.width:
        console.print(table)
        return
    width = max(map(len, headers.values()))
    for number, texts in enumerate(cells):
        lines = [
            f"{header:<{width}}  {cell}" for header, cell in zip(headers.values(), texts, strict=True) if cell
        ]
        click.echo("\n".join([*([""] if number else []), *lines]))


def _plain(value: Any) -> Any:
    return utc(value).isoformat() if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{utc(value):%Y-%m-%dT%H:%M:%SZ}"
    return "" if value is None else str(value)
