"""The console of all commands (`authhost_hookspecs.Console`): tables, JSON lines, progress and questions."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from textwrap import wrap
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")
MAX_WIDTH = 10_000
DRAW_INTERVAL = 0.1
"""Seconds between two drawings of the progress."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")


class Terminal:
    """Prints to standard output and standard error. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.bar: ProgressLine | None = None
        """The progress that is shown now."""

    def print(self, text: str = "") -> None:
        """Print one line to standard output."""
        self._erase_progress()
        click.echo(text)

    def error(self, text: str) -> None:
        """Print one line to standard error."""
        self._erase_progress()
        click.echo(text, err=True)

    def print_rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        headers: Mapping[str, str] | None = None,
        as_json: bool = False,
        empty: str = "",
        header: bool = True,
    ) -> None:
        """Print rows as a table, as records if the table does not fit, or as JSON lines."""
        self._erase_progress()
        if as_json:
            for row in rows:
                chosen = row if headers is None else {name: row[name] for name in headers}
                click.echo(json.dumps({name: _plain(value) for name, value in chosen.items()}, default=str))
            return
        listed = list(rows)
        if not listed:
            if empty:
                click.echo(empty)
            return
        titles = headers or {name: name for name in listed[0]}
        cells = [[_cell(row[name]) for name in titles] for row in listed]
        _print_table(list(titles.values()), cells, header=header)

    @overload
    def progress(self, work: int | None, label: str) -> AbstractContextManager[ProgressLine]: ...

    @overload
    def progress(self, work: Iterable[T], label: str) -> Iterable[T]: ...

    def progress(self, work: int | Iterable[T] | None, label: str) -> Any:
        """Show progress: of an iterable, whose items the result yields, or of a number as context manager."""
        if work is None or isinstance(work, int):
            return ProgressLine(self, work, label, self._clock)
        return self._tracked(work, label)

    def _tracked(self, work: Iterable[T], label: str) -> Iterator[T]:
        total = len(work) if isinstance(work, Sized) else None
        with ProgressLine(self, total, label, self._clock) as bar:
            for each in work:
                yield each
                bar.advance()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask ``question``; raises `click.Abort` for no, and `click.UsageError` without a terminal."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"{question} There is no terminal to answer; run the command with --yes.")
        self._erase_progress()
        if not click.confirm(question, err=True):
            raise click.Abort

    def _erase_progress(self) -> None:
        if self.bar is not None:
            self.bar.erase()


class ProgressLine:
    """One line on standard error with the progress, if that is a terminal."""

    def __init__(self, terminal: Terminal, total: int | None, label: str, clock: Callable[[], float]) -> None:
        self._terminal, self._total, self._label, self._clock = terminal, total, label, clock
        self._outer: ProgressLine | None = None
        self._done, self._width = 0, 0
        self._drawn_at: float | None = None

    def __enter__(self) -> Self:
        self._outer, self._terminal.bar = self._terminal.bar, self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.erase()
        self._terminal.bar = self._outer

    def advance(self, count: int = 1) -> None:
        """Add ``count`` to what is done."""
        self._done += count
        if not sys.stderr.isatty():
            return
        now = self._clock()
        if self._drawn_at is None or now - self._drawn_at >= DRAW_INTERVAL:
            self._drawn_at = now
            self._draw()

    def erase(self) -> None:
        """Remove the line from the terminal; the next drawing shows it again."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", nl=False, err=True)
            self._width = 0

    def _draw(self) -> None:
        text = f"{self._label}: {self._done:,}"
        if self._total:
            text += f" of {self._total:,} ({min(100, 100 * self._done // self._total)} %)"
        text = text[: shutil.get_terminal_size().columns - 1]
        click.echo(f"\r{text.ljust(self._width)}", nl=False, err=True)
        self._width = len(text)


def _plain(value: Any) -> Any:
    return _utc(value).isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{_utc(value):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return printable("" if value is None else str(value))


def printable(text: str) -> str:
    """Return the text with spaces for control characters, which could move the cursor and fake other rows."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _print_table(titles: Sequence[str], cells: Sequence[Sequence[str]], *, header: bool) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    table, console = _table(titles, cells, header=header), Console()
    needs = Measurement.get(console, console.options.update(max_width=MAX_WIDTH), table)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=needs.maximum)  # output to a pipe needs no limit of its width
    if needs.minimum > console.width:
        _print_as_records(console.width, titles, cells)
    else:
        console.print(table)


def _table(titles: Sequence[str], cells: Sequence[Sequence[str]], *, header: bool) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=header)
    for number, title in enumerate(titles):
        # Wrap sentences, but not identifiers and addresses, which must stay complete.
        table.add_column(title, no_wrap=not any(" " in row[number] for row in cells))
    for row in cells:
        # As Text: rich would parse a word in brackets, such as an extra of pip, as markup.
        table.add_row(*map(Text, row))
    return table


def _print_as_records(width: int, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print one block of lines for each row. No word is cut, so that an identifier can be copied."""
    indent = max(map(len, titles)) + 2
    for number, row in enumerate(cells):
        if number:
            click.echo()
        for title, cell in zip(titles, row, strict=True):
            first, *rest = wrap(
                cell, max(1, width - indent), break_long_words=False, break_on_hyphens=False
            ) or [""]
            click.echo((click.style(title.ljust(indent), bold=True) + first).rstrip())
            for line in rest:
                click.echo(" " * indent + line)
