"""What came out, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compat.axes import Axes
from compat.cell import Result

TAIL = 30
"""Lines of a log that are shown."""


def line(result: Result, number: int, total: int) -> str:
    """One cell as it ends."""
    where = ", ".join(f"{axis} {label}" for axis, label in result.environment.items())
    where = f"{result.versions}; {where}" if result.versions else where
    outcome = "passed" if result.passed else f"FAILED ({'; '.join(result.failed)})"
    if result.may_fail:
        outcome += " (a pre-release, which may fail)"
    times = f"{result.seconds:.0f} s, {result.cpu:.0f} s of computing"
    return f"[{number}/{total}] {result.plugin}: {outcome}; {where}; {times}"


def tail(result: Result) -> str:
    """The end of a failed cell's log, and where it is."""
    with open(result.log, encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()[-TAIL:]
    return "\n".join([*(f"    {each}" for each in lines), f"    the whole log: {result.log}"])


def table(axes: Axes, results: Sequence[Result], missing: Sequence[str]) -> str:
    """A Markdown table: a row for each environment, a column for each plugin; and what it leaves out."""
    varied = [axis for axis, choices in axes.items() if len(choices) > 1]
    plugins = sorted({each.plugin for each in results})
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for each in results:
        if each.may_fail or each.versions:
            continue
        row = rows.setdefault(tuple(each.environment[axis] for axis in varied), {})
        row[each.plugin] = _cell(each)
    lines = [f"| {' | '.join([*varied, *plugins])} |", f"|{' --- |' * (len(varied) + len(plugins))}"]
    for labels in sorted(rows, key=_by_version):
        row = rows[labels]
        lines.append(f"| {' | '.join([*labels, *(row.get(plugin, 'not run') for plugin in plugins)])} |")
    return "\n".join([*lines, "", *_notes(axes), *missing])


def previews(results: Sequence[Result]) -> list[str]:
    """A sentence for each cell of a pre-release: its failure fails nothing, so it is said aloud."""
    return [
        f"PRE-RELEASE pluggy {each.environment['pluggy']}, {each.plugin}: {_cell(each)}"
        + ("" if each.passed else "; the run does not fail with it, but the next release of pluggy will")
        for each in results
        if each.may_fail
    ]


def earlier(results: Sequence[Result]) -> list[str]:
    """A sentence for each cell in which an earlier version of the contract meets this one."""
    return [f"{each.versions}, {each.plugin}: {_cell(each)}" for each in results if each.versions]


def _cell(result: Result) -> str:
    if not result.passed:
        return f"FAILED ({'; '.join(result.failed)})"
    return "passed" if "tests" in result.ran else "passed (no own tests)"


def _by_version(labels: tuple[str, ...]) -> tuple[list[int | str], ...]:
    def key(text: str) -> list[int | str]:
        return [int(part) if part.isdigit() else part for part in text.replace(" ", ".").split(".")]

    return tuple(key(each) for each in labels)


def _notes(axes: Axes) -> list[str]:
    """The axes with one value: which it is, and why it is only one."""
    notes = []
    for axis, choices in axes.items():
        if len(choices) == 1:
            [only] = choices
            same = f" ({' and '.join(only.why)} are the same release today)" if len(only.why) > 1 else ""
            notes.append(f"{axis}: {only.label}{same}")
    return notes


def document(axes: Axes, results: Sequence[Result], missing: Sequence[str], seconds: float) -> dict[str, Any]:
    """The same as values of JSON."""
    return {
        "passed": all(each.passed or each.may_fail for each in results),
        "seconds": round(seconds, 1),
        "axes": {
            axis: [{"label": each.label, "why": list(each.why)} for each in choices]
            for axis, choices in axes.items()
        },
        "left_out": list(missing),
        "cells": [{"passed": each.passed, **asdict(each)} for each in results],
    }
