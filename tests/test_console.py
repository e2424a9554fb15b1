"""The console of commands: tables, JSON lines, progress and questions."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from authhost.operations.console import Terminal
from authhost.testing import CommandContext

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class TerminalStream(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Make standard error a terminal, and return it. Called in the test: pytest replaces it before."""

    def on_terminal():
        stream = TerminalStream()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", "60")
        return stream

    return on_terminal


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


# Rows.


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=30)
CELLS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
TABLES = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.lists(CELLS, min_size=count, max_size=count), min_size=2, max_size=4)
)


@given(TABLES)
def test_no_word_of_a_table_is_cut(rows):
    """The first row has the titles. A table that does not fit is printed as records."""
    titles, *cells = rows
    titles = [f"{number} {title}" for number, title in enumerate(titles)]
    output = TerminalStream()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "60")
        patched.setattr(sys, "stdout", output)
        Terminal().print_rows([dict(zip(titles, row, strict=True)) for row in cells])
    shown = click.unstyle(output.getvalue())
    assert "…" not in shown
    assert not {word for row in (titles, *cells) for cell in row for word in cell.split()} - {*shown.split()}
    assert max(map(len, shown.splitlines())) <= 60 or "│" not in shown


def test_headers_choose_and_name_the_columns(capsys):
    rows = [{"id": 1, "secret": "x", "made": TIME}, {"id": 2, "secret": "y", "made": None}]
    Terminal().print_rows(rows, headers={"made": "created", "id": "number"})
    table = capsys.readouterr().out
    assert "x" not in table
    assert table.index("created") < table.index("number")
    assert "2026-01-02T03:04:05Z" in table
    Terminal().print_rows(rows, headers={"made": "created", "id": "number"}, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"made": "2026-01-02T03:04:05+00:00", "id": 1}, {"made": None, "id": 2}]


def test_naive_time_of_a_database_is_utc(capsys):
    Terminal().print_rows([{"at": TIME.replace(tzinfo=None)}], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02T03:04:05+00:00"}


def test_table_can_be_continued_without_titles(capsys):
    Terminal().print_rows([{"name": "ann"}], header=False)
    table = capsys.readouterr().out
    assert "ann" in table
    assert "name" not in table


def test_no_rows(capsys):
    Terminal().print_rows([], empty="there is nothing")
    Terminal().print_rows([])
    Terminal().print_rows([], as_json=True, empty="there is nothing")
    assert capsys.readouterr().out == "there is nothing\n"


def test_control_characters_cannot_change_other_rows(capsys):
    Terminal().print_rows([{"agent": "curl\x1b[2J\nfake row", "list": ["a\x07", "b"]}])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "curl [2J fake row" in printed


# Progress.


def test_progress_is_drawn_on_a_terminal_at_most_ten_times_a_second(on_terminal):
    stderr = on_terminal()
    seconds = Seconds()
    console = Terminal(seconds)
    with console.progress(2000, "records") as bar:
        for _ in range(500):
            bar.advance(2)
        assert stderr.getvalue() == "\rrecords: 2 of 2,000 (0 %)"
        seconds.now = 0.2
        bar.advance(500)
        assert stderr.getvalue().endswith("\rrecords: 1,500 of 2,000 (75 %)")
    assert stderr.getvalue().endswith("\r" + " " * len("records: 1,500 of 2,000 (75 %)") + "\r")


def test_progress_of_an_iterable(on_terminal):
    stderr = on_terminal()
    console = Terminal(Seconds())
    assert list(console.progress([1, 2, 3], "rows")) == [1, 2, 3]
    assert "rows: 1 of 3 (33 %)" in stderr.getvalue()
    assert list(console.progress(iter([1, 2]), "lines")) == [1, 2]
    assert "\rlines: 1" in stderr.getvalue()
    assert console.bar is None


def test_other_output_does_not_mix_with_the_progress(on_terminal):
    stderr = on_terminal()
    console = Terminal(Seconds())
    with console.progress(None, "records") as bar:
        bar.advance()
        console.error("a note")
        console.print("a result")
    width = len("records: 1")
    assert stderr.getvalue() == f"\rrecords: 1\r{' ' * width}\ra note\n"


def test_line_is_not_longer_than_the_terminal(on_terminal):
    stderr = on_terminal()
    with Terminal(Seconds()).progress(None, "long label " * 20) as bar:
        bar.advance()
    assert max(map(len, stderr.getvalue().split("\r"))) <= 59


def test_failure_erases_the_progress(on_terminal):
    stderr = on_terminal()
    console = Terminal(Seconds())
    with pytest.raises(KeyError), console.progress(3, "rows") as bar:
        bar.advance()
        raise KeyError
    assert stderr.getvalue().endswith(" \r")
    assert console.bar is None


def test_pipe_gets_no_progress(capsys):
    with Terminal().progress(3, "rows") as bar:
        bar.advance()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


# Confirmation.


@click.command()
@click.option("--yes", is_flag=True)
@click.pass_obj
def erase(context, yes):
    context.console.confirm("Erase everything?", yes=yes)
    context.console.print("erased")


def test_confirmation_without_a_terminal_needs_the_option(make_host):
    context = CommandContext(make_host())
    refused = CliRunner().invoke(erase, [], obj=context, input="y\n")
    assert refused.exit_code == 2
    assert "Erase everything?" in refused.output
    assert "--yes" in refused.output
    assert CliRunner().invoke(erase, ["--yes"], obj=context).output == "erased\n"


@pytest.mark.parametrize(("answer", "erased"), [("y", True), ("n", False), ("", False)])
def test_confirmation_on_a_terminal(monkeypatch, answer, erased):
    stream = TerminalStream(f"{answer}\n")
    monkeypatch.setattr(sys, "stdin", stream)
    if erased:
        Terminal().confirm("Erase?", yes=False)
    else:
        with pytest.raises(click.Abort):
            Terminal().confirm("Erase?", yes=False)
