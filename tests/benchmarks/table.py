"""Reports for people."""

from __future__ import annotations

from common import Report
from rich.console import Console
from rich.table import Table


def show(report: Report, console: Console) -> None:
    """Print a report as a table."""
    columns = list(dict.fromkeys(name for row in report.rows for name in row))
    table = Table(title=report.title, title_justify="left")
    for name in columns:
        numbers = all(isinstance(row.get(name), int | float | None) for row in report.rows)
        table.add_column(name, justify="right" if numbers else "left")
    for row in report.rows:
        table.add_row(*(_text(row.get(name)) for name in columns))
    console.print(table)
    console.print(report.note, end="\n\n")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
