"""How often each flow waits for PostgreSQL, counted by a proxy (`tests/wire.py`): authhost and its peers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import CHEAP_HASH, Deliverer, Options, Report, databases, make_host, progress, verdict
from flows import ALL, NONE, all_flows
from peers.measure import OTHER_PASSWORD, SESSION_CHECK, Flows, Laps, run
from wire import Wire

from authhost import AuthHost

CHANGE_OF_USER = "login, another user is in"
WARM_UP = 15
"""Accounts that do not count: psycopg prepares a statement when a connection runs it for the sixth time."""
GOALS = {
    SESSION_CHECK: 1,
    "signup": 5,
    "login": 4,
    "change_password": 5,
    "add_email": 5,
    "logout": 3,
    CHANGE_OF_USER: 4,
}
"""The most with three plugins."""


class Trips(Laps):
    """Counts round trips, and keeps those of the last block of each name."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(lambda: wire.count)
        self._wire = wire
        self.last: dict[str, list[tuple[str, ...]]] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        self._wire.reset()
        with super().lap(name):
            yield
        self.last[name] = self._wire.round_trips


def measure(options: Options) -> Report:
    """The number of the last account of each flow; the others' too where they differ."""
    rounds = options.rounds(10, 3)
    if options.postgresql is None:
        return Report("Round trips", "Left out: no PostgreSQL answers; name a server with --postgresql.", [])
    counts: dict[str, dict[str, list[int]]] = {}
    for name, plugins in ((NONE, False), (ALL, True)):
        progress(f"round trips: authhost, {name}")
        trips = _authhost(options.postgresql, plugins, rounds)
        counts[name] = {flow: [int(each) for each in trips.values(flow)] for flow in GOALS}
    if options.statements:
        for flow in GOALS:
            print(f"{flow}, {ALL}")
            for number, trip in enumerate(trips.last[flow], 1):
                print(f"  {number}. {'; '.join(' '.join(each.split()) for each in trip) or '-'}")
    for name, python in options.peers.items():
        progress(f"round trips: {name}")
        counts[name] = _peer(name, python, options.postgresql, rounds)
    rows: list[dict[str, Any]] = []
    for flow, goal in GOALS.items():
        found = {name: values.get(flow, []) for name, values in counts.items()}
        last = {name: values[-1] if values else None for name, values in found.items()}
        cold, warm = found[ALL][:WARM_UP], {name: values[WARM_UP:] for name, values in found.items()}
        rows.append(
            {
                "flow": flow,
                **last,
                "goal": goal,
                "": verdict(last[ALL], goal),
                "statements": sum(map(len, trips.last[flow])),
                "cold": f"{min(cold)} to {max(cold)}",
                "differs": ", ".join(
                    f"{name} {min(values)} to {max(values)}"
                    for name, values in warm.items()
                    if len(set(values)) > 1
                ),
            }
        )
    return Report(
        "Round trips to PostgreSQL",
        f"Changes of direction on the wire, of one account after {WARM_UP} others; 'differs' has the least "
        f"and the most of {rounds} accounts. The goal, 'statements' and 'cold' are for three plugins, with "
        f"their default settings; 'cold' has the least and the most of the first {WARM_UP} accounts, whose "
        "connections and prepared statements are new. A flow of authhost is one unit of work without the "
        "web, a peer's is one HTTP request; threads of plugins are not started.",
        rows,
    )


def _authhost(server: str, plugins: bool, rounds: int) -> Trips:
    extra = None if plugins else {"deliverer": Deliverer()}
    with databases(server, "counted") as (url,), Wire(url) as wire:
        trips = Trips(wire)
        settings: dict[str, Any] = {**CHEAP_HASH, "plugin_settings": {}}
        with make_host(wire.url, plugins=plugins, extra=extra, background=False, **settings) as host:
            run(_flows(host), trips, WARM_UP + rounds, 0)
    return trips


def _flows(host: AuthHost) -> Flows:
    """The flows, and a login in the browser of the account before."""
    token: str | None = None

    def flows(laps: Laps, email: str) -> None:
        nonlocal token
        all_flows(host, laps, email)
        with laps.lap(CHANGE_OF_USER), host.request(session_token=token) as request:
            token = host.account.login(request, identifier=email, password=OTHER_PASSWORD).session_token

    return flows


def _peer(name: str, python: str, server: str, rounds: int) -> dict[str, list[int]]:
    script = Path(__file__).parent / "peers" / f"drive_{name.replace('-', '_')}.py"
    with databases(server, "peer") as (url,):
        given = ["--database", url, "--rounds", str(WARM_UP + rounds), "--warm-up", "0", "--round-trips"]
        done = subprocess.run([python, str(script), *given], stdout=subprocess.PIPE, text=True, check=True)
    counted: dict[str, list[int]] = json.loads(done.stdout)
    return counted
