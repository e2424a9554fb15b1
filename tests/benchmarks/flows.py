"""The flows with a trivially cheap hash: no plugin, all three, and the peers."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from common import CHEAP_HASH, Deliverer, Options, Report, databases, make_host, progress, verdict
from peers.measure import FLOWS, OTHER_PASSWORD, PASSWORD, SESSION_CHECK, Laps, run

from authhost import AuthHost

REFERENCE = "allauth"
PEERS = (REFERENCE, "flask-security", "fastapi-users")
GOALS = {"SQLite": 1 / 5, "PostgreSQL": 1 / 4}
"""The most of django-allauth's time that a flow with three plugins takes."""
NONE, ALL = "no plugin", "three plugins"


def all_flows(host: AuthHost, laps: Laps, email: str) -> None:
    """Take an account through all flows, each in a unit of its own."""
    account, unit = host.account, partial(host.request, ip_address="203.0.113.7", user_agent="benchmark")
    with laps.lap("signup"), unit() as request:
        token = account.signup(request, email=email, password=PASSWORD).session_token
    with unit(session_token=token) as request:
        account.logout(request)
    with laps.lap("login"), unit() as request:
        token = account.login(request, identifier=email, password=PASSWORD).session_token
    with laps.lap(SESSION_CHECK), unit(session_token=token) as request:
        assert request.user is not None
    with laps.lap("change_password"), unit(session_token=token) as request:
        changed = account.change_password(request, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    with laps.lap("add_email"), unit(session_token=changed.session_token) as request:
        account.add_email(request, email=f"other-{email}")
    with laps.lap("logout"), unit(session_token=changed.session_token) as request:
        account.logout(request)


def measure(options: Options) -> Report:
    """Medians in ms, and authhost's as ratios to each peer's on the same database.

    authhost and the peers take turns, so that all see the same machine.
    """
    turns, rounds, warm_up = options.rounds(3, 1), options.rounds(80, 30), options.rounds(20, 8)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (NONE, ALL, *options.peers)}
        for turn in range(1, turns + 1):
            progress(f"flows: {database}, authhost ({turn} of {turns})")
            for name, laps in zip((NONE, ALL), _authhost(server, rounds, warm_up), strict=True):
                runs[name].append({flow: laps.median(flow) for flow in FLOWS})
            for name, python in options.peers.items():
                progress(f"flows: {database}, {name} ({turn} of {turns})")
                runs[name].append(_peer(name, python, server, rounds, warm_up))
        for flow in FLOWS:
            about = {"database": database, "flow": flow}
            about |= {f"{name} ms": _median(runs[name], flow) for name in (NONE, ALL)}
            for name in options.peers:
                goal = GOALS[database] if name == REFERENCE and flow != SESSION_CHECK else None
                ratio = _ratio(runs[ALL], runs[name], flow)
                rows.append(
                    {
                        **about,
                        "peer": name,
                        "peer ms": _median(runs[name], flow),
                        f"{NONE} / peer": _ratio(runs[NONE], runs[name], flow),
                        f"{ALL} / peer": ratio,
                        "goal": goal,
                        "": verdict(ratio, goal),
                    }
                )
            if not options.peers:
                rows.append(about)
        for name in options.peers:
            rows.append(
                {
                    "database": database,
                    "flow": "empty request",
                    "peer": f"{name} {runs[name][0]['version']}",
                    "peer ms": _median(runs[name], "empty_request"),
                }
            )
    return Report(
        "Flows with a trivially cheap hash",
        "A peer's time has its HTTP request in it, authhost's flow has none: 'empty request' is that part, "
        "a route of the peer that does nothing. allauth and Flask-Security render their mails in the flow, "
        "authhost-email when it delivers, which is not in its time. SQLite has the same pragmas everywhere.",
        rows,
    )


def _median(runs: list[dict[str, Any]], flow: str) -> float | None:
    values = [run[flow] for run in runs]
    return None if None in values else median(values)


def _ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], flow: str) -> float | None:
    if None in (run[flow] for run in theirs):
        return None
    return median(one[flow] / other[flow] for one, other in zip(ours, theirs, strict=True))


def _authhost(server: str | None, rounds: int, warm_up: int) -> tuple[Laps, Laps]:
    """Both hosts in turn, an account each, so that both see the same machine."""
    bare, full = Laps(), Laps()
    with (
        databases(server, "bare", "plugins") as urls,
        make_host(urls[0], plugins=False, extra={"deliverer": Deliverer()}, **CHEAP_HASH) as bare_host,
        make_host(urls[1], **CHEAP_HASH) as full_host,
    ):

        def both(laps: Laps, email: str) -> None:
            all_flows(bare_host, bare, email)
            all_flows(full_host, full, email)

        run(both, Laps(), 0, warm_up)
        bare.clear()
        full.clear()
        run(both, Laps(), rounds, 0)
    return bare, full


def _peer(name: str, python: str, server: str | None, rounds: int, warm_up: int) -> dict[str, Any]:
    script = Path(__file__).parent / "peers" / f"drive_{name.replace('-', '_')}.py"
    with databases(server, "peer") as (url,):
        given = ["--database", url, "--rounds", str(rounds), "--warm-up", str(warm_up)]
        done = subprocess.run([python, str(script), *given], stdout=subprocess.PIPE, text=True, check=True)
    medians: dict[str, Any] = json.loads(done.stdout)
    return medians
