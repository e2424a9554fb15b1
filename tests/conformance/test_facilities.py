"""Correct plugins that use what contract 1.1 offers them pass every check."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from authhost_hookspecs import FlowError, Message, hookimpl

from authhost.testing.conformance import CHECKS
from authhost.testing.conformance.runner import run_check

OF_DISTRIBUTIONS = ("accepted", "independent", "declarations")


class Server:
    """A service on loopback that a plugin calls."""

    def __enter__(self):
        server = self
        self.posts = 0

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                server.posts += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Uses:
    """Calls a service in the background, sends messages, and changes the response."""

    def __init__(self, port):
        self._port = port

    def _post(self, user_id):
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", f"/{user_id}")
            connection.getresponse().read()
        finally:
            connection.close()

    @hookimpl
    def user_signed_up(self, request, user):
        request.local("faulty")["first"] = True
        if user.email is not None:
            with suppress(FlowError):
                request.send(Message("plugin", user.email, subject="Hello", text="Welcome", user_id=user.id))

    @hookimpl
    def user_logged_in(self, request, user):
        request.in_background(self._post, user.id)
        level = "success" if request.local("faulty").get("first") else "info"
        request.answer.message(level, "You are logged in.")
        request.answer.set_cookie("faulty-seen", "1")
        request.answer.redirect("/")

    @hookimpl
    def flow_refused(self, request, flow):
        request.answer.message("warning", f"{flow} was refused.")


@pytest.fixture
def server():
    with Server() as running:
        yield running


def test_plugin_that_uses_them_passes_every_check(new_context, server):
    context = new_context(Uses(server.port))
    verdicts = [run_check(name, context) for name in CHECKS if name not in OF_DISTRIBUTIONS]
    assert [each for each in verdicts if each.outcome == "failed"] == []
    assert server.posts
