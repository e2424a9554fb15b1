"""What all drivers share: options, rounds, medians, and one JSON object. Python's library is all it needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.append(str(Path(__file__).parents[2]))

from wire import Wire

SESSION_CHECK = "session_check"
FLOWS = (SESSION_CHECK, "signup", "login", "change_password", "add_email", "logout")
PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
"""As authhost sets them: a ratio is then about code, not about the syncs of a disk."""


def milliseconds() -> float:
    """A clock that never goes back."""
    return perf_counter() * 1000


class Laps:
    """What ``meter`` counted up while each named block ran: milliseconds, unless it counts something else."""

    def __init__(self, meter: Callable[[], float] = milliseconds) -> None:
        self._meter = meter
        self._values: dict[str, list[float]] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Measure the body of the ``with`` block."""
        started = self._meter()
        yield
        self._values.setdefault(name, []).append(self._meter() - started)

    def values(self, name: str) -> list[float]:
        """All that was measured of ``name``, in order."""
        return self._values.get(name, [])

    def median(self, name: str) -> float | None:
        """The median of ``name``, or None where it was never measured."""
        return median(self._values[name]) if name in self._values else None

    def clear(self) -> None:
        """Forget the warm-up."""
        self._values.clear()


Flows = Callable[[Laps, str], None]
"""Takes the account of an address through all flows, each in a lap of its name."""


def run(flows: Flows, laps: Laps, rounds: int, warm_up: int) -> None:
    """Take ``rounds`` accounts through ``flows``, after some that do not count."""
    for number in range(warm_up):
        flows(laps, f"warm{number}@example.org")
    laps.clear()
    for number in range(rounds):
        flows(laps, f"ann{number}@example.org")


def main(prepare: Callable[[str], Flows], distribution: str) -> None:
    """Print what was measured of a peer. ``prepare`` makes its application on an empty database."""
    parser = argparse.ArgumentParser(description=f"Medians of {distribution} in ms, as JSON.")
    parser.add_argument("--database", metavar="URL", help="an empty database; a SQLite file unless given")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument(
        "--round-trips", action="store_true", help="count them for each run, instead of times"
    )
    options = parser.parse_args()
    found: dict[str, object] = {"version": version(distribution)}
    if options.round_trips:
        with Wire(options.database) as wire:
            laps = Laps(lambda: wire.count)
            run(prepare(wire.url), laps, options.rounds, options.warm_up)
        found |= {name: laps.values(name) for name in FLOWS}
    else:
        laps = Laps()
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            url = options.database or f"sqlite:///{Path(folder) / 'peer.sqlite3'}"
            run(prepare(url), laps, options.rounds, options.warm_up)
        found |= {name: laps.median(name) for name in (*FLOWS, "empty_request")}
    print(json.dumps(found))
