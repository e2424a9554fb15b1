"""How often each flow waits for PostgreSQL, counted by a proxy (`tests/wire.py`): authhost and its peers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from common import CHEAP_HASH, Deliverer, Options, Report, databases, make_host, progress, verdict
from flows import all_flows
from peers.measure import OTHER_PASSWORD, PASSWORD, SESSION_CHECK, Laps, run
from wire import Wire

from authhost import AuthHost

CHANGE_OF_USER = "login, another user is in"
WARM_UP = 15
"""Accounts that do not count. psycopg prepares a statement when a connection runs it for the sixth time."""
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
PLUGINS = "three plugins"


def measure(options: Options) -> Report:
    """The number of the last account of each flow; the others' too where they differ."""
    rounds = options.rounds(10, 3)
    if options.postgresql is None:
        return Report("Round trips", "Left out: no PostgreSQL answers; name a server with --postgresql.", [])
    found: dict[str, dict[str, list[float]]] = {}
    for name, plugins in (("no plugin", False), (PLUGINS, True)):
        progress(f"round trips: authhost, {name}")
        found[name] = _authhost(options.postgresql, plugins, rounds)
    for name, python in options.peers.items():
        progress(f"round trips: {name}")
        found[name] = _peer(name, python, options.postgresql, rounds)
    rows: list[dict[str, Any]] = []
    for flow in GOALS:
        last = {name: int(values[flow][-1]) if values.get(flow) else None for name, values in found.items()}
        goal = GOALS[flow]
        row = {"flow": flow, **last, "goal": goal, "": verdict(last[PLUGINS], goal)}
        spread = (
            f"{name} {int(min(values[flow]))} to {int(max(values[flow]))}"
            for name, values in found.items()
            if len(set(values.get(flow, ()))) > 1
        )
        rows.append({**row, "differs": ", ".join(spread)})
    return Report(
        "Round trips to PostgreSQL",
        f"Changes of direction on the wire, of one account after {WARM_UP} others; 'differs' has the least "
        f"and the most of {rounds} accounts. The goal is for three plugins, with their default settings. "
        "A flow of authhost is one unit of work without the web, a peer's is one HTTP request; threads of "
        "plugins are not started.",
        rows,
    )


def _authhost(server: str, plugins: bool, rounds: int) -> dict[str, list[float]]:
    extra = None if plugins else {"deliverer": Deliverer()}
    with databases(server, "counted") as (url,), Wire(url) as wire:
        laps = Laps(lambda: wire.count)
        settings: dict[str, Any] = {**CHEAP_HASH, "plugin_settings": {}}
        with make_host(wire.url, plugins=plugins, extra=extra, background=False, **settings) as host:
            run(lambda laps, email: _flows(host, laps, email), laps, rounds, WARM_UP)
    return {flow: laps.values(flow) for flow in GOALS}


def _flows(host: AuthHost, laps: Laps, email: str) -> None:
    all_flows(host, laps, email)
    with host.request() as request:
        other = host.account.signup(request, email=f"third-{email}", password=PASSWORD).session_token
    with laps.lap(CHANGE_OF_USER), host.request(session_token=other) as request:
        host.account.login(request, identifier=email, password=OTHER_PASSWORD)


def _peer(name: str, python: str, server: str, rounds: int) -> dict[str, list[float]]:
    script = Path(__file__).parent / "peers" / f"drive_{name.replace('-', '_')}.py"
    with databases(server, "peer") as (url,):
        given = ["--database", url, "--rounds", str(rounds), "--warm-up", str(WARM_UP), "--round-trips"]
        done = subprocess.run([python, str(script), *given], stdout=subprocess.PIPE, text=True, check=True)
    counted: dict[str, list[float]] = json.loads(done.stdout)
    return counted
