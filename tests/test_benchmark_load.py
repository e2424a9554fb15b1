"""The load generator of the benchmark group ``http``, in its process, against a server of this test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

LOAD = Path(__file__).parent / "benchmarks" / "load.py"
EMAILS = [f"user{number}@example.org" for number in range(3)]


class Server(ThreadingHTTPServer):
    """Counts connections and requests; ``failing`` and ``closing`` change how it responds to a check."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: Counter[str] = Counter()
        self.failing = self.closing = self.refusing = False


class Handler(BaseHTTPRequestHandler):
    """Sets a cookie at login; a check responds with its value, in chunks."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.received["connection"] += 1

    def do_POST(self) -> None:
        self.server.received["login"] += 1
        email = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["email"]
        self.send_response(403 if self.server.refusing else 200)
        self.send_header("Set-Cookie", f"session={email}; Path=/; HttpOnly")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        self.server.received["check"] += 1
        fails = self.server.failing and self.server.received["check"] % 2 == 0
        self.send_response(500 if fails else 200)
        self.send_header("Transfer-Encoding", "chunked")
        if self.server.closing:
            self.send_header("Connection", "close")
        self.end_headers()
        content = self.headers["Cookie"].removeprefix("session=").encode()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(server: Server, *points: tuple[str, int], warm_up: int = 0) -> subprocess.CompletedProcess[str]:
    plan = {
        "port": server.server_address[1],
        "login": "/login",
        "content_type": "application/json",
        "bodies": [json.dumps({"email": email}) for email in EMAILS],
        "emails": EMAILS,
        "check": "/me",
        "points": points,
        "count": 20,
        "seconds": 60,
        "warm_up": warm_up,
    }
    command = [sys.executable, str(LOAD)]
    return subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True, check=False)


def results(server: Server, *points: tuple[str, int], warm_up: int = 0) -> list[dict[str, Any]]:
    done = run(server, *points, warm_up=warm_up)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_point_has_as_many_requests_as_planned_over_connections_that_stay_open(server: Server) -> None:
    login, check = results(server, ("login", 2), ("session check", 3), warm_up=4)
    assert (login["requests"], login["errors"], login["connections"]) == (20, 0, 2)
    assert (check["requests"], check["errors"], check["connections"]) == (20, 0, 3)
    assert 0 < check["p50"] <= check["p99"]
    # Each connection logs in once before its point, and checks once.
    assert server.received == {"connection": 2 + 3, "login": 2 + 4 + 20 + 3, "check": 3 + 4 + 20}


def test_a_failed_request_counts_as_an_error_alone(server: Server) -> None:
    server.failing = True
    (check,) = results(server, ("session check", 1))
    assert (check["requests"], check["errors"]) == (10, 10)


def test_a_connection_that_the_server_closes_is_opened_again(server: Server) -> None:
    server.closing = True
    (check,) = results(server, ("session check", 1))
    assert (check["requests"], check["errors"]) == (20, 0)
    # The first is that of the login and of the check before the point.
    assert server.received["connection"] == 1 + 20


def test_a_refused_login_ends_the_run_with_the_path_and_the_status(server: Server) -> None:
    server.refusing = True
    done = run(server, ("login", 1))
    assert done.returncode == 1
    assert "POST /login has status 403, not 200" in done.stderr
