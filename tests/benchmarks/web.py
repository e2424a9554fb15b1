"""Login and session check through HTTP: authhost and the peers, on uvicorn and gunicorn."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from common import Options, Report, address, databases, progress
from load import CHECK, HOST, LOGIN, Plan
from peers.measure import PASSWORD
from peers.serving import PROCESSES, THREADS

HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 32)
HASHES = {"cheap": (LOGIN, CHECK), "real": (LOGIN,)}
"""The flows that are measured with each hash: a session check has none."""
BACKLOG = 128
STOP = 30
"""Seconds that a server may take to end."""
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An application with its server, and how to log in to it."""

    name: str
    server: str
    script: str
    login: str
    identifier: str
    """The name of the field for the address."""
    check: str = "/me"
    content_type: str = JSON
    options: tuple[str, ...] = ()

    def body(self, email: str) -> str:
        """The body of a login."""
        fields = {self.identifier: email, "password": PASSWORD}
        return json.dumps(fields) if self.content_type == JSON else urlencode(fields)


GUNICORN, UVICORN = "gunicorn", "uvicorn"
AUTHHOST = {
    server: Candidate(
        f"authhost in {framework}",
        server,
        "serve_authhost.py",
        "/account/api/login",
        "identifier",
        options=("--framework", framework),
    )
    for server, framework in ((UVICORN, "fastapi"), (GUNICORN, "flask"))
}
PEERS = {
    "allauth": Candidate(
        "allauth", GUNICORN, "peers/serve_allauth.py", "/_allauth/browser/v1/auth/login", "email"
    ),
    "flask-security": Candidate(
        "flask-security", GUNICORN, "peers/serve_flask_security.py", "/login", "email"
    ),
    "fastapi-users": Candidate(
        "fastapi-users",
        UVICORN,
        "peers/serve_fastapi_users.py",
        "/login",
        "username",
        check="/users/me",
        content_type=FORM,
    ),
}
Results = dict[tuple[str, int], dict[str, float]]
"""What was measured, by flow and number of connections."""


def measure(options: Options) -> Report:
    """Medians, and authhost's as ratios to those of each peer on the same kind of server and database.

    authhost and the peers take turns, so that all see the same machine.
    """
    turns = options.rounds(3, 1)
    rows: list[dict[str, Any]] = []
    pythons: dict[Candidate, str] = {PEERS[name]: python for name, python in options.peers.items()}
    ours = {PEERS[name].server for name in options.peers} or set(AUTHHOST)
    candidates = {**{AUTHHOST[server]: sys.executable for server in sorted(ours)}, **pythons}
    for database, server in options.servers.items():
        for hash_name, flows in HASHES.items():
            runs: dict[Candidate, list[Results]] = {each: [] for each in candidates}
            for turn in range(1, turns + 1):
                for candidate, python in candidates.items():
                    progress(f"http: {database}, {hash_name} hash, {candidate.name} ({turn} of {turns})")
                    runs[candidate].append(_run(candidate, python, server, hash_name, options))
            for flow in flows:
                shown = f"{flow}, {hash_name}" if flow == LOGIN else flow
                for connections in CONNECTIONS:
                    about = {"database": database, "flow": shown, "conn.": connections}
                    rows += _rows(about, runs, (flow, connections))
    return Report(
        "Login and session check through HTTP",
        f"{PROCESSES} process for each; {THREADS} threads on gunicorn (gthread) and for authhost on uvicorn, "
        "where fastapi-users uses coroutines. authhost has three plugins and checks where a POST comes from; "
        "the peers' CSRF protection is off, and fastapi-users' login is a form. The hash 'real' is argon2id "
        "with 19 MiB, 2 passes and 1 lane. A ratio is authhost's value to the peer's on the same kind of "
        "server, the median over the turns: for requests per second (/s) above 1 is ahead, for times below "
        "1. The load generator is another process on the same machine; a time ends with the response.",
        rows,
    )


def _rows(
    about: Mapping[str, object], runs: Mapping[Candidate, list[Results]], point: tuple[str, int]
) -> Iterator[dict[str, Any]]:
    """One row for each peer, or for each server of authhost where no peers are measured."""
    peers = [each for each in runs if each in PEERS.values()]
    for candidate in peers or runs:
        found = {
            "": [run[point] for run in runs[AUTHHOST[candidate.server]]],
            **({"peer ": [run[point] for run in runs[candidate]]} if peers else {}),
        }
        row: dict[str, Any] = {**about, "server": candidate.server, "peer": candidate.name if peers else None}
        row |= {f"{who}/s": median(run["rate"] for run in each) for who, each in found.items()}
        for title, name in (("/s", "rate"), ("p50", "p50"), ("p99", "p99")):
            if name != "rate":
                row[f"{title} ms"] = median(run[name] for run in found[""])
            if peers:
                both = zip(found[""], found["peer "], strict=True)
                row[f"{title} ratio"] = median(one[name] / other[name] for one, other in both)
        if peers:
            row["ahead"] = _ahead(row)
        for who, each in found.items():
            if errors := sum(int(run["errors"]) for run in each):
                row[f"{who}errors"] = errors
        yield row


def _ahead(row: Mapping[str, Any]) -> str:
    """Where authhost is ahead of the peer: everywhere, or what it is behind in."""
    behind = ["/s"] if row["/s ratio"] < 1 else []
    behind += [name for name in ("p50", "p99") if row[f"{name} ratio"] > 1]
    return f"no: {' '.join(behind)}" if behind else "yes"


def _run(candidate: Candidate, python: str, server: str | None, hash_name: str, options: Options) -> Results:
    """Serve a candidate from an empty database and measure its points; raises `CalledProcessError`."""
    users = max(CONNECTIONS)
    emails = [address(number) for number in range(users)]
    with databases(server, "served") as (url,), _served(candidate, python, url, hash_name, users) as port:
        plan = Plan(
            port=port,
            login=candidate.login,
            content_type=candidate.content_type,
            bodies=[candidate.body(email) for email in emails],
            emails=emails,
            check=candidate.check,
            points=[(flow, connections) for flow in HASHES[hash_name] for connections in CONNECTIONS],
            count=options.rounds(1000, 300),
            seconds=options.rounds(3, 2) / 2,
            warm_up=2 * THREADS,
        )
        command = [sys.executable, str(HERE / "load.py")]
        sent = json.dumps(asdict(plan))
        done = subprocess.run(command, input=sent, stdout=subprocess.PIPE, text=True, check=True)
    return {(each["flow"], each["connections"]): each for each in json.loads(done.stdout)}


@contextmanager
def _served(candidate: Candidate, python: str, url: str, hash_name: str, users: int) -> Iterator[int]:
    """Run the server and yield its port.

    The socket listens before the server starts, so nothing has to wait for it; and it is closed here, so
    that a server that fails refuses the load generator.
    """
    with socket.create_server((HOST, 0), backlog=BACKLOG) as listening:
        # gunicorn leaves Nagle's algorithm on for a socket that it is given: a login then takes 40 ms more.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port, fd = listening.getsockname()[1], listening.fileno()
        given = ["--database", url, "--fd", str(fd), "--hash", hash_name, "--users", str(users)]
        command = [python, str(HERE / candidate.script), *given, *candidate.options]
        process = subprocess.Popen(command, pass_fds=(fd,))
    try:
        yield port
    finally:
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
