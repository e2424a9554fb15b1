"""A server for the recipes that call one: it keeps the requests, and answers with prepared content."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl


class Received(NamedTuple):
    """A request."""

    method: str
    path: str
    values: dict[str, Any]
    """The JSON object or the form of the body."""
    authorization: str | None


class Server(ThreadingHTTPServer):
    """``server.url``, ``server.received``; ``server.content["/path"] = (type, bytes)``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Received] = []
        self.content: dict[str, tuple[str, bytes]] = {}
        self.place = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.place}"

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        as_json = self.headers.get_content_type() == "application/json"
        values = json.loads(body) if as_json else dict(parse_qsl(body))
        self.server.received.append(
            Received(self.command, self.path, values, self.headers.get("Authorization"))
        )
        kind, content = self.server.content.get(self.path, ("text/plain", b""))
        self.send_response(302 if kind == "location" else 200)
        self.send_header(*(("Location", content.decode()) if kind == "location" else ("Content-Type", kind)))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *values: Any) -> None:
        """Write nothing to standard error."""
