"""What starting costs: imports, and ``authhost --help``, each in a fresh interpreter.

authhost imports a public name when it is first used, so what an application
pays for the names that it needs is measured, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from common import PLUGINS, Options, Report, make_host, progress, verdict

GOAL = 3.0
SCRIPT = "from time import perf_counter as t; a = t(); {}; print((t() - a) * 1000)"
IMPORTS = ("import sqlalchemy", "import authhost", "from authhost import AuthHost, Settings")
CLICK = 'python -c "import click"'
HELP = "authhost --help"
CONFIGURED = "authhost --help, in the folder of a site"


def measure(options: Options) -> Report:
    """Medians in ms, and medians of the ratios of rounds; the commands take turns."""
    progress("imports: import statements, authhost --help")
    times: dict[str, list[float]] = {}
    with TemporaryDirectory() as empty, TemporaryDirectory() as site:
        _set_up(Path(site))
        program = [str(Path(sys.executable).with_name("authhost")), "--help"]
        for turn in range(options.rounds(40, 10) + 1):
            measured = {
                **{each: _statement(each) for each in IMPORTS},
                CLICK: _process([sys.executable, "-c", "import click"], empty),
                HELP: _process(program, empty),
                CONFIGURED: _process(program, site),
            }
            if turn:  # the first one compiles, and reads the disk
                for name, milliseconds in measured.items():
                    times.setdefault(name, []).append(milliseconds)
    rows: list[dict[str, Any]] = []
    for name, values in times.items():
        base, goal = (IMPORTS[0], None) if name in IMPORTS else (CLICK, GOAL if name != CLICK else None)
        ratio = median(one / other for one, other in zip(values, times[base], strict=True))
        rows.append(
            {
                "what": name,
                "ms": median(values),
                "relative to": base,
                "ratio": ratio,
                "goal": goal,
                "": verdict(ratio, goal),
            }
        )
    return Report(
        "Start-up",
        "Fresh interpreters in turn. A statement is timed without the interpreter's start, a command as a "
        "whole. The site has a current database and the three plugins.",
        rows,
    )


def _set_up(site: Path) -> None:
    url = f"sqlite:///{site / 'site.sqlite3'}"
    make_host(url, background=False).close()
    names = ", ".join(f'"{name}"' for name in PLUGINS)
    lines = [f'database_url = "{url}"', f'secret_key = "{"k" * 48}"', f"plugins = [{names}]"]
    (site / "authhost.toml").write_text("\n".join(lines) + "\n")


def _statement(statement: str) -> float:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT.format(statement)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def _process(command: Sequence[str], folder: str) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHHOST_")}
    started = perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (perf_counter() - started) * 1000
