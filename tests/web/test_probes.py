"""The endpoints for load balancers and Kubernetes: whether the process lives, and whether it can work."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from sqlalchemy import event

from authhost.operations import core_health
from authhost.testing.web_client import WebClient
from authhost.web.asgi import ASGIApp
from authhost.web.mounted import Mounted
from authhost.web.probes import Readiness
from authhost.web.wsgi import WSGIApp
from web.test_frameworks import asgi, wsgi

COOKIE = {"Cookie": "__Host-authhost=" + "s" * 43}


@pytest.fixture
def statements(web):
    found = []
    event.listen(web.host.engine, "before_cursor_execute", lambda *values: found.append(values[2]))
    return found


def document(response):
    return response.status_code, json.loads(response.body)


def test_a_living_process_touches_nothing(client, statements):
    response = client.send("GET", "/account/healthz", headers=COOKIE)
    assert document(response) == (200, {"status": "ok"})
    assert statements == []
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.headers.getlist("Set-Cookie")


def test_a_ready_process_names_what_it_has_checked(client, statements):
    response = client.send("GET", "/account/readyz", headers=COOKIE)
    checks = {"database": "ok", "rate_limits": "ok", "passwords": "ok"}
    assert document(response) == (200, {"status": "ok", "checks": checks})
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.headers.getlist("Set-Cookie")
    assert len(statements) == 1
    assert "session" not in statements[0]
    assert client.send("GET", "/account/readyz").status_code == 200
    assert len(statements) == 1, "one check answers all requests of a second"


def test_neither_is_limited_or_reveals_anything(open_site, tmp_path, caplog):
    site = open_site(rate_limits=True)
    client = WebClient(site)
    (tmp_path / "site0.sqlite3").unlink()
    site.host.engine.dispose()
    with caplog.at_level(logging.INFO):
        answers = {client.send("GET", "/account/readyz").body for _ in range(200)}
    assert [json.loads(each) for each in answers] == [
        {"status": "failed", "checks": {"database": "failed", "rate_limits": "ok", "passwords": "ok"}}
    ]
    assert client.send("GET", "/account/readyz").status_code == 503
    assert client.send("GET", "/account/healthz").status_code == 200
    logged = [each.getMessage() for each in caplog.records if each.name == "authhost.web"]
    assert len(logged) == 1, "only a change is logged, not each request"
    assert logged[0].startswith("not ready: database (")


def test_a_database_that_hangs_is_a_failed_check(web, monkeypatch):
    import threading

    released = threading.Event()

    def database(host):
        released.wait(30)
        return ()

    monkeypatch.setattr(core_health, "REQUIRED", (database, *core_health.REQUIRED[1:]))
    status, found = document(Readiness(web.host, timeout=0.05).response())
    assert (status, found["checks"]["database"]) == (503, "failed")
    released.set()


def test_the_answer_is_checked_again_after_a_second(web, statements):
    now = [0.0]
    ready = Readiness(web.host, clock=lambda: now[0])
    for now[0] in (0.0, 0.9, 1.1):
        assert ready.response().status_code == 200
    assert len(statements) == 2


@pytest.mark.parametrize("path", ["/account/healthz", "/account/readyz"])
def test_only_reading_methods(client, path):
    head = client.send("HEAD", path)
    assert (head.status_code, head.body) == (200, b"")
    refused = client.send("POST", path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_a_plugin_cannot_take_the_paths(open_site, caplog):
    from authhost_hookspecs import ApiRoute, hookimpl

    class Taking:
        @hookimpl
        def register_routes(self):
            return [ApiRoute("GET", "/x", lambda request: {}, "Take.", login=False)]

    client = WebClient(open_site({"readyz": Taking()}))
    assert client.send("GET", "/account/readyz").status_code == 200
    assert "readyz" in caplog.text


@pytest.mark.parametrize(("adapter", "send"), [(WSGIApp, wsgi), (ASGIApp, asgi)])
class TestAdapters:
    def test_both_serve_them_before_the_application(self, web, adapter, send):
        def application(*values):
            raise AssertionError("the application was asked")

        app = adapter(web.host, application)
        for path in ("/account/healthz", "/account/readyz"):
            assert send(app, path=path)[0] == 200

    def test_a_process_lives_although_its_host_cannot_be_opened(self, web, adapter, send):
        settings = replace(web.host.settings, database_url="sqlite:///nowhere/none.sqlite3")
        app = adapter(Mounted(settings))
        assert send(app, path="/account/healthz")[0] == 200

    def test_with_another_prefix(self, open_site, adapter, send):
        app = adapter(open_site(web_prefix="/auth").host)
        assert send(app, path="/auth/healthz")[0] == 200
        assert send(app, path="/account/healthz")[0] == 404


def test_a_busy_process_lives(web, monkeypatch):
    """The answer needs none of the threads, which may all wait for a password hash."""

    def no_thread(*values):
        raise AssertionError("a thread was used")

    monkeypatch.setattr("authhost.web.asgi.to_thread.run_sync", no_thread)
    assert asgi(ASGIApp(web.host), path="/account/healthz")[0] == 200
