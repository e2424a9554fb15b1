"""Run the benchmarks and print a table for each group. Nothing fails: a goal that is missed says so."""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import accounts
import flows
import guard
import imports
import login
import round_trips
import scale
import session
import table
import threads
import web
from common import Options, Report, progress
from rich.console import Console

import plugins

GROUPS: dict[str, tuple[Callable[[Options], Report], str]] = {
    "round_trips": (round_trips.measure, "how often each flow waits for PostgreSQL, and the peers' flows"),
    "session": (session.measure, "a session check against its one statement through SQLAlchemy Core"),
    "login": (login.measure, "a login against its own argon2id, and against one without plugins"),
    "flows": (flows.measure, "each flow with a cheap hash, against django-allauth and the other peers"),
    "http": (web.measure, "login and session check through HTTP on uvicorn and gunicorn, and the peers"),
    "plugins": (plugins.measure, "what each plugin costs each flow by itself"),
    "imports": (imports.measure, "import authhost, and authhost --help against python -c 'import click'"),
    "guard": (guard.measure, "the dispatch guard against a bare pluggy call"),
    "scale": (scale.measure, "a login with a thousand and with a million users"),
    "accounts": (accounts.measure, "host.users with ten million accounts (--quick: a hundred thousand)"),
    "threads": (threads.measure, "logins in a second by threads"),
}
LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
EXAMPLES = """examples:
  python tests/benchmarks/run.py --only session --only login
  python tests/benchmarks/run.py --only round_trips --statements
  python tests/benchmarks/run.py --quick --json bench.json
  python tests/benchmarks/run.py --only flows --peer allauth=/path/to/venv/bin/python
  nox -s bench -- --only round_trips      (makes the peers' environments first)
"""


def peer(text: str) -> tuple[str, str]:
    """Read ``NAME=PYTHON``."""
    name, _, python = text.partition("=")
    if name not in flows.PEERS or not python:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON with one of {', '.join(flows.PEERS)}")
    return name, python


def find_postgresql() -> str | None:
    """The server of AUTHHOST_POSTGRESQL_URL, else the local one if it answers, else None."""
    named = os.environ.get("AUTHHOST_POSTGRESQL_URL")
    if named:
        return named
    parts = urlsplit(LOCAL)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), 1).close()
    except OSError:
        progress("SKIPPED: PostgreSQL, since none answers at 127.0.0.1:5432; name one with --postgresql")
        return None
    return LOCAL


def main() -> None:
    """Measure the groups, show each as it is done, and write all as JSON."""
    groups = "\n".join(f"  {name:<12} {what}" for name, (_, what) in GROUPS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"groups:\n{groups}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=GROUPS, action="append", metavar="GROUP", help="one of those below")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer users")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--postgresql",
        metavar="URL",
        help="a server where a database may be created (AUTHHOST_POSTGRESQL_URL, else the local one)",
    )
    parser.add_argument(
        "--peer",
        type=peer,
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help=f"the interpreter where a peer is installed: {', '.join(flows.PEERS)}",
    )
    parser.add_argument(
        "--statements", action="store_true", help="of round_trips, print the SQL of each round trip, too"
    )
    given = parser.parse_args()
    server = given.postgresql or find_postgresql()
    options = Options(
        quick=given.quick, postgresql=server, peers=dict(given.peer), statements=given.statements
    )
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    reports: dict[str, Report] = {}
    for name in given.only or GROUPS:
        reports[name] = GROUPS[name][0](options)
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
