"""Print rows as a table for people, or as JSON lines for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
MAX_WIDTH = 10_000


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    """Print ``rows`` as a table or as JSON lines. ``empty`` is printed instead of an empty table."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.measure import Measurement

    cells = [[_cell(value) for value in row.values()] for row in rows]
    table, console = _table(list(rows[0]), cells), Console()
    needs = Measurement.get(console, console.options.update(max_width=MAX_WIDTH), table)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=needs.maximum)  # output to a pipe needs no limit of its width
    if needs.minimum > console.width:
        _print_as_records(console, list(rows[0]), cells)
    else:
        console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for number, name in enumerate(names):
        # Wrap sentences, but not identifiers and addresses, which must stay complete.
        table.add_column(name, no_wrap=not any(" " in row[number] for row in cells))
    for row in cells:
        # As Text: rich would parse a word in brackets, such as an extra of pip, as markup.
        table.add_row(*map(Text, row))
    return table


def _print_as_records(console: Console, names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(cells):
        lines = Table.grid(padding=(0, 2))
        lines.add_column(no_wrap=True)
        lines.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            lines.add_row(Text(name, "bold"), Text(cell))
        if number:
            console.print()
        console.print(lines)
