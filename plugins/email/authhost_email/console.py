"""Prints rows as a table for people, or as JSON lines for programs."""

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


def print_rows(
    rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str], as_json: bool, *, empty: str
) -> None:
    """Print the columns that ``headers`` names. ``empty`` is printed if there are no rows.

    If a table does not fit the terminal, each row is printed as a list of lines, so
    that an identifier is never cut. Output to a pipe is as wide as necessary.
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
        # Only texts with spaces are wrapped: an identifier or address that is cut cannot be copied.
        table.add_column(header, no_wrap=not any(" " in texts[number] for texts in cells))
    for texts in cells:
        table.add_row(*map(Text, texts))  # as Text, so that brackets are not read as markup
    size = Measurement.get(console, console.options.update(max_width=UNBOUNDED), table)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=size.maximum)
    if size.minimum <= console.width:
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
