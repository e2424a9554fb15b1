"""The console of all commands (`authhost_hookspecs.Console`): tables, JSON lines, progress and questions."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from textwrap import wrap
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar, overload

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

T = TypeVar("T")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*m)")
"""All but tabs, ends of lines and the codes of colours, which click removes in a pipe."""
MAX_MESSAGE = 1_000
"""Characters of a line in an error message."""
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
        """Print text to standard output. On a terminal, sentences are wrapped at its width, but not JSON."""
        self._erase_progress()
        text = _without_controls(text)
        click.echo(text if text.startswith(("{", "[")) else fitted(text, sys.stdout))

    def error(self, text: str) -> None:
        """Print text to standard error. On a terminal, sentences are wrapped at its width."""
        self._erase_progress()
        click.echo(fitted(_without_controls(text), sys.stderr), err=True)

    def print_rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        headers: Mapping[str, str] | None = None,
        as_json: bool = False,
        empty: str = "",
        header: bool = True,
    ) -> None:
        """Print rows as a table, as records if the table does not fit the terminal, or as JSON lines.

        In a pipe a row is one line: cells have the width that they need, and no line is drawn.
        """
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


def _without_controls(text: str) -> str:
    return CONTROL_CHARACTERS.sub(" ", text)


def rich_console() -> Console:
    """Return a console of rich for standard output. A pipe gets no colours, whatever FORCE_COLOR says."""
    from rich.console import Console

    return Console(force_terminal=sys.stdout.isatty())


def shortened(text: str) -> str:
    """Return an error message without control characters, and without the middle of very long lines."""
    lines = map(printable, text.split("\n"))
    half = MAX_MESSAGE // 2
    return "\n".join(f"{each[:half]} … {each[-half:]}" if len(each) > MAX_MESSAGE else each for each in lines)


def fitted(text: str, stream: TextIO, *, indent: int = 0) -> str:
    """Return text whose sentences are wrapped at the width of ``stream``, if that is a terminal.

    No word is cut, so that an identifier or an address can be copied. ``indent`` is the
    number of characters before the first line.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines: list[str] = []
    for line in text.split("\n"):
        room = indent if not lines else 0
        fits = room + cells_of(line) <= width
        lines += [line] if fits else _wrapped(line, width, room)
    return "\n".join(lines)


def _wrapped(line: str, width: int, room: int) -> list[str]:
    start = line[: len(line) - len(line.lstrip())]
    wrapped = wrap(
        line,
        width,
        initial_indent=" " * room,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [wrapped[0][room:], *wrapped[1:]] if wrapped else [line]


def cells_of(text: str) -> int:
    """Return how many cells of a terminal a text takes, without the codes of its colours."""
    from rich.cells import cell_len

    return cell_len(click.unstyle(text))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _print_table(titles: Sequence[str], cells: Sequence[Sequence[str]], *, header: bool) -> None:
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        _print_plain([titles, *cells] if header else cells)
        return
    console = rich_console()
    widths = _column_widths(console.width, titles, cells)
    if widths is None:
        _print_as_records(console.width, titles, cells)
    else:
        console.print(_table(titles, cells, widths, header=header))


def _column_widths(width: int, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> Sequence[int] | None:
    """Return the widths of the columns of a table of at most ``width``; None if a word would be cut."""
    columns = list(zip(titles, *cells, strict=True))
    widths = [max(cells_of(word) for cell in column for word in cell.split() or [""]) for column in columns]
    room = width - sum(widths) - 3 * len(columns) - 1  # a line and two spaces for each column, and a line
    if room < 0:
        return None
    wants = sorted((max(map(cells_of, column)) - widths[n], n) for n, column in enumerate(columns))
    for done, (want, number) in enumerate(wants):  # the narrow ones first: sentences wrap before lists do
        more = min(want, room // (len(wants) - done))
        widths[number] += more
        room -= more
    return widths


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    """Print each row as one line, with two spaces between the columns."""
    widths = [max(map(cells_of, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - cells_of(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _table(
    titles: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int], *, header: bool
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=header)
    for title, width in zip(titles, widths, strict=True):
        table.add_column(title, width=width)
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
