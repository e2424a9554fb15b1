"""The adapters and the frameworks: when the host is opened, what a route shares, and what is refused."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import event

from authhost import ConfigurationError
from authhost.testing import PASSWORD
from authhost.web.asgi import ASGIApp
from authhost.web.http import MAX_BODY
from authhost.web.mounted import Mounted
from authhost.web.wsgi import WSGIApp

BASE_URL = "https://example.org"
SIGNUP = {"email": "ann@example.org", "password": PASSWORD}


def asgi(app, method="GET", path="/account/login", body=b"", headers=(), **scope):
    """Send one request to an ASGI application; return the status, the headers and the body."""
    sent = []
    parts = [body[at : at + 4096] for at in range(0, len(body), 4096)] or [b""]
    received = []

    async def receive():
        received.append(1)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    values = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("203.0.113.7", 50000),
        **scope,
    }
    asyncio.run(app(values, receive, send))
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], found, b"".join(each["body"] for each in rest), len(received)


def wsgi(app, method="GET", path="/account/login", body=b"", **environ):
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    builder = EnvironBuilder(path=path, method=method, input_stream=None, data=body, **environ)
    found, status, headers = run_wsgi_app(app, builder.get_environ())
    return int(status.split()[0]), dict(headers), b"".join(found)


@pytest.fixture
def host(open_site):
    return open_site().host


class TestAdapters:
    def test_both_serve_the_pages_and_nothing_else(self, host):
        for status, _, body in (asgi(ASGIApp(host))[:3], wsgi(WSGIApp(host))):
            assert status == 200
            assert b"<h1>Log in</h1>" in body
        assert asgi(ASGIApp(host), path="/accounts")[0] == 404
        assert wsgi(WSGIApp(host), path="/accounts")[0] == 404
        assert wsgi(WSGIApp(host), path="/")[0] == 404

    def test_other_paths_go_to_the_application(self, host):
        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        assert asgi(ASGIApp(host, application), path="/")[0] == 204

    def test_a_large_body_is_refused_before_it_is_read_to_its_end(self, host):
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")]
        status, _, _, parts = asgi(ASGIApp(host), "POST", body=b"x" * 10 * MAX_BODY, headers=headers)
        assert (status, parts) == (413, MAX_BODY // 4096 + 1)
        status, _, _ = wsgi(WSGIApp(host), "POST", body=b"x" * 10 * MAX_BODY)
        assert status == 413

    def test_the_body_is_bounded_before_a_thread_is_used(self, host, monkeypatch):
        from authhost.web import asgi as module

        order = []
        read, run = module._read_body, module.to_thread.run_sync

        async def reading(receive):
            order.append("read")
            return await read(receive)

        async def running(function, *values):
            order.append("thread")
            return await run(function, *values)

        monkeypatch.setattr(module, "_read_body", reading)
        monkeypatch.setattr(module.to_thread, "run_sync", running)
        asgi(ASGIApp(host))
        assert order == ["read", "thread"]

    def test_below_a_path_of_the_server(self, host):
        assert asgi(ASGIApp(host), path="/shop/account/login", root_path="/shop")[0] == 200
        assert wsgi(WSGIApp(host), path="/account/login", environ_base={"SCRIPT_NAME": "/shop"})[0] == 200


class TestHost:
    @pytest.fixture
    def settings(self, host):
        return replace(host.settings, plugins=(), email_verification="none")

    def test_from_settings_it_is_opened_at_the_first_request(self, settings):
        mounted = Mounted(settings)
        assert mounted._web is None
        assert wsgi(WSGIApp(mounted))[0] == 200
        opened = mounted.web.host
        mounted.close()
        assert opened.closed

    def test_a_host_of_the_application_stays_open(self, host):
        mounted = Mounted(host)
        assert mounted.web.host is host
        mounted.close()
        assert not host.closed

    def test_each_process_opens_its_own(self, settings):
        mounted = Mounted(settings)
        parent = mounted.web.host
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, b"own" if mounted.web.host is not parent else b"shared")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"own"
        mounted.close()

    def test_a_missing_configuration_is_named(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"nope\.toml"):
            _ = Mounted(tmp_path / "nope.toml").web

    def test_lifespan_opens_and_closes(self, settings):
        app = ASGIApp(settings)
        received = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent, opened = [], []

        async def receive():
            return received.pop(0)

        async def send(message):
            sent.append(message["type"])
            opened.append(app.mounted._web is not None)

        asyncio.run(app({"type": "lifespan"}, receive, send))
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert opened == [True, False]


class TestRoutes:
    @pytest.fixture
    def client(self, host):
        pytest.importorskip("httpx2")
        pytest.importorskip("fastapi")
        from fastapi.testclient import TestClient
        from frameworks_app import build

        options = {"base_url": BASE_URL, "client": ("203.0.113.7", 50000), "headers": {"Origin": BASE_URL}}
        with TestClient(build(host), **options) as client:
            yield client

    def test_the_user_of_a_cookie_and_of_a_token(self, client):
        assert client.get("/user").json() == {"email": None}
        body = client.post("/account/api/signup", json=SIGNUP, headers={"Authhost-Client": "app"}).json()
        headers = {"Authorization": f"Bearer {body['session_token']}"}
        assert client.get("/user", headers=headers).json() == {"email": "ann@example.org"}
        values = {"identifier": SIGNUP["email"], "password": PASSWORD}
        client.post("/account/api/login", json=values)
        assert client.get("/user").json() == {"email": "ann@example.org"}
        assert client.get("/user", headers=headers).json()["code"] == "two_credentials"

    def test_the_session_is_read_once_for_each_request(self, client, host):
        client.post("/signup", json=SIGNUP)
        statements = []
        event.listen(host.engine, "before_cursor_execute", lambda *values: statements.append(values[2]))
        assert client.get("/twice").json() == {"same": True}
        assert len(statements) == 1

    def test_a_flow_in_a_route_sets_the_cookies(self, client):
        response = client.post("/signup", json=SIGNUP)
        assert response.json() == {"authenticated": True}
        assert "__Host-authhost-session" in response.headers["set-cookie"]
        assert client.get("/user").json() == {"email": "ann@example.org"}

    def test_a_refused_flow_is_a_problem_document(self, client):
        response = client.post("/signup", json={**SIGNUP, "password": "short"})
        assert (response.status_code, response.json()["code"]) == (400, "weak_password")
        assert response.headers["content-type"] == "application/problem+json"

    def test_a_failing_route_stores_nothing(self, client):
        assert client.post("/signup-and-fail", json=SIGNUP).status_code == 418
        assert client.post("/signup", json=SIGNUP).json() == {"authenticated": True}

    def test_another_site_cannot_use_the_routes(self, client):
        client.post("/signup", json=SIGNUP)
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for path in ("/signup", "/change"):
            assert client.post(path, json=SIGNUP, headers=headers).json()["code"] == "cross_site"
        assert client.post("/change").json() == {"email": "ann@example.org"}

    def test_a_websocket_knows_the_user(self, client):
        client.post("/signup", json=SIGNUP)
        with client.websocket_connect("/socket", headers={"cookie": _cookie(client)}) as socket:
            assert socket.receive_json() == {"email": "ann@example.org"}


def _cookie(client):
    return "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)


def test_without_the_extra_nothing_of_it_is_imported():
    code = (
        "import sys, authhost; from authhost import AuthHost, Settings; import authhost.testing;"
        "bad = {'werkzeug', 'jinja2', 'babel', 'anyio', 'fastapi', 'flask', 'starlette'} & set(sys.modules);"
        "assert not bad, bad; assert not [each for each in sys.modules if each.startswith('authhost.web')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_the_remedy_is_named():
    code = (
        "import sys; sys.modules['werkzeug'] = sys.modules['werkzeug.datastructures'] = None\n"
        "try:\n    import authhost.web\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'authhost[web]'" in done.stdout
