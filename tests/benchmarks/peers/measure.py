"""What all drivers share: options, rounds, medians, and one JSON object. Python's library is all it needs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

FLOWS = ("signup", "login", "change_password", "add_email", "logout")
PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
"""As authhost sets them: a ratio is then about code, not about the syncs of a disk."""


class Laps:
    """Times in milliseconds, by the name of what was timed."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Time the body of the ``with`` block."""
        started = perf_counter()
        yield
        self._times.setdefault(name, []).append((perf_counter() - started) * 1000)

    def times(self, name: str) -> list[float]:
        """All times of ``name``."""
        return self._times.get(name, [])

    def median(self, name: str) -> float | None:
        """The median of ``name``, or None where it was never timed."""
        return median(self._times[name]) if name in self._times else None

    def clear(self) -> None:
        """Forget the warm-up."""
        self._times.clear()


Life = Callable[[Laps, str], None]
"""Takes the account of an address through all flows, each in a lap of its name."""


def run(life: Life, laps: Laps, rounds: int, warm_up: int) -> None:
    """Live ``rounds`` lives, after some that do not count."""
    for number in range(warm_up):
        life(laps, f"warm{number}@example.org")
    laps.clear()
    for number in range(rounds):
        life(laps, f"ann{number}@example.org")


def main(prepare: Callable[[str], Life], distribution: str) -> None:
    """Print the medians of a peer. ``prepare`` makes its application on an empty database."""
    parser = argparse.ArgumentParser(description=f"Medians of {distribution} in ms, as JSON.")
    parser.add_argument("--database", metavar="URL", help="an empty database; a SQLite file unless given")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    options = parser.parse_args()
    laps = Laps()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'peer.sqlite3'}"
        run(prepare(url), laps, options.rounds, options.warm_up)
    medians = {name: laps.median(name) for name in (*FLOWS, "empty_request")}
    print(json.dumps({**medians, "version": version(distribution)}))
