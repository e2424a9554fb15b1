"""``import authhost`` against ``import sqlalchemy``, each in a fresh interpreter.

authhost imports a public name when it is first used, so what an application
pays for the names that it needs is measured, too.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Any

from common import Options, Report

STATEMENTS = ("import sqlalchemy", "import authhost", "from authhost import AuthHost, Settings")
SCRIPT = "from time import perf_counter as t; a = t(); {}; print((t() - a) * 1000)"


def measure(options: Options) -> Report:
    """Medians in ms of the statement alone; the interpreter's start is not in it."""
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for turn in range(options.rounds(30, 7) + 1):
        for statement in STATEMENTS:
            done = subprocess.run(
                [sys.executable, "-P", "-c", SCRIPT.format(statement)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            if turn:
                times[statement].append(float(done.stdout))
    base = median(times[STATEMENTS[0]])
    rows: list[dict[str, Any]] = [
        {"statement": statement, "ms": median(each), "/ import sqlalchemy": median(each) / base}
        for statement, each in times.items()
    ]
    return Report("Import time", "Fresh interpreters in turn, without their start.", rows)
