"""Fixtures: files of hashes, and a range server whose responses the tests choose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

if find_spec("authhost_breached_passwords") is None:
    collect_ignore_glob = ["test_*.py"]


def sha1_hex(password: str) -> str:
    return sha1(password.encode()).hexdigest().upper()


class RangeServer(ThreadingHTTPServer):
    """A real server on this machine. ``answer`` handles each request."""

    daemon_threads = True
    passwords: dict[str, int]
    answer: Callable[[BaseHTTPRequestHandler], None]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[BaseHTTPRequestHandler] = []
        self.passwords, self.answer = {}, send_range
        self.stopping = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/range"

    def body(self, prefix: str) -> str:
        known = {sha1_hex(each): count for each, count in self.passwords.items()}
        lines = [f"{each[5:]}:{count}" for each, count in known.items() if each.startswith(prefix)]
        padding = [f"{number:035X}:0" for number in range(20)]
        return "\r\n".join(sorted([*lines, *padding]))


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        self.server.requests.append(self)
        with suppress(ConnectionError):  # the client has closed the connection
            self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def send_range(handler: BaseHTTPRequestHandler) -> None:
    send(handler, handler.server.body(handler.path.rpartition("/")[2]))


def send(handler: BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body.encode())


@pytest.fixture
def range_server():
    with RangeServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def hash_file(tmp_path):
    """Write a sorted file of the hashes of passwords; return its path."""

    def write(passwords, end="\n", name="hashes.txt"):
        lines = sorted(f"{sha1_hex(each)}:{count}" for each, count in passwords.items())
        path = tmp_path / name
        path.write_bytes("".join(f"{line}{end}" for line in lines).encode())
        return str(path)

    return write
