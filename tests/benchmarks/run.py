"""Run the benchmarks: ``python tests/benchmarks/run.py --json out.json``. Nothing passes or fails."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import flows
import guard
import hashing
import imports
import round_trips
import scale
import session
import table
from common import Options, Report
from rich.console import Console

import plugins

GROUPS: dict[str, Callable[[Options], Report]] = {
    "round_trips": round_trips.measure,
    "session": session.measure,
    "guard": guard.measure,
    "flows": flows.measure,
    "plugins": plugins.measure,
    "scale": scale.measure,
    "argon2": hashing.measure,
    "threads": hashing.measure_threads,
    "import": imports.measure,
}


def peer(text: str) -> tuple[str, str]:
    """Read ``NAME=PYTHON``."""
    name, _, python = text.partition("=")
    if name not in flows.PEERS or not python:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON with one of {', '.join(flows.PEERS)}")
    return name, python


def main() -> None:
    """Measure the groups, show each as it is done, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--peer", type=peer, action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--postgresql", metavar="URL", help="a server where a database may be created")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer users")
    parser.add_argument("--only", choices=GROUPS, action="append", metavar="GROUP", help=", ".join(GROUPS))
    given = parser.parse_args()
    options = Options(quick=given.quick, postgresql=given.postgresql, peers=dict(given.peer))
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    reports: dict[str, Report] = {}
    for name in given.only or GROUPS:
        reports[name] = GROUPS[name](options)
        table.show(reports[name], console)
        if given.json:
            given.json.write_text(json.dumps(_document(reports), indent=2) + "\n", encoding="utf-8")


def _document(reports: dict[str, Report]) -> dict[str, object]:
    distributions = ("authhost", "authhost-hookspecs", "pluggy", "SQLAlchemy", "passlib")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {name: version(name) for name in distributions},
        "groups": {name: asdict(report) for name, report in reports.items()},
    }


if __name__ == "__main__":
    main()
