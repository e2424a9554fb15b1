"""The flows with a trivially cheap hash: no plugin, all three, and the peers."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from common import CHEAP_HASH, Deliverer, Options, Report, databases, make_host
from peers.measure import FLOWS, OTHER_PASSWORD, PASSWORD, SESSION_CHECK, Laps, run

from authhost import AuthHost

PEERS = ("allauth", "flask-security", "fastapi-users")


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
    """Medians in ms, and authhost's as ratios to each peer's on the same database."""
    rounds, warm_up = options.rounds(200, 30), options.rounds(20, 5)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        bare, full = _authhost(server, rounds, warm_up)
        peers = {name: _peer(name, python, server, rounds, warm_up) for name, python in options.peers.items()}
        for flow in FLOWS:
            ours = {"no plugin ms": bare.median(flow), "three plugins ms": full.median(flow)}
            about = {"database": database, "flow": flow, **ours}
            for name, medians in peers.items():
                theirs = medians[flow]
                ratios = {
                    key.replace("ms", "/ peer"): theirs and ms and ms / theirs for key, ms in ours.items()
                }
                rows.append({**about, "peer": name, "peer ms": theirs, **ratios})
            if not peers:
                rows.append(about)
        for name, medians in peers.items():
            rows.append(
                {
                    "database": database,
                    "flow": "empty request",
                    "peer": f"{name} {medians['version']}",
                    "peer ms": medians["empty_request"],
                }
            )
    return Report(
        "Flows with a trivially cheap hash",
        "A peer's time has its HTTP request in it, authhost's flow has none: 'empty request' is that part, "
        "a route of the peer that does nothing. allauth and Flask-Security render their mails in the flow, "
        "authhost-email when it delivers, which is not in its time. SQLite has the same pragmas everywhere.",
        rows,
    )


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
