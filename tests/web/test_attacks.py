"""Attacks on the adapters and on an application's routes."""

from __future__ import annotations

import asyncio
import io
import os
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient
from authhost.web.asgi import ASGIApp
from authhost.web.mounted import Mounted
from authhost.web.wsgi import WSGIApp

ANN = "ann@example.org"
BASE_URL = "https://example.org"
SESSION = "__Host-authhost-session"
SIGNUP = {"email": ANN, "password": PASSWORD}


@pytest.fixture
def host(open_site):
    return open_site().host


class TestBodies:
    """A body that ends too early must not be processed: it would store the beginning of a password."""

    BODY = urlencode({"email": ANN, "password": f"{PASSWORD} and more"}).encode()

    @pytest.fixture
    def site(self, open_site):
        return open_site()

    @pytest.fixture(autouse=True)
    def nobody_signed_up(self, site):
        yield
        assert WebClient(site).post("/signup", **SIGNUP).status_code == 303

    def test_asgi_does_not_process_it(self, site):
        received = [
            {"type": "http.request", "body": self.BODY[:-9], "more_body": True},
            {"type": "http.disconnect"},
        ]
        sent = []

        async def receive():
            return received.pop(0)

        async def send(message):
            sent.append(message)

        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/account/signup",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        asyncio.run(ASGIApp(site.host)(scope, receive, send))
        assert sent == []

    @pytest.mark.parametrize("terminated", [False, True])
    def test_wsgi_refuses_it(self, site, terminated):
        from werkzeug.test import EnvironBuilder, run_wsgi_app

        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
        environ = EnvironBuilder(path="/account/signup", method="POST", headers=headers).get_environ()
        environ["CONTENT_LENGTH"] = str(len(self.BODY))
        environ["wsgi.input"] = io.BytesIO(self.BODY[:-9])
        environ["wsgi.input_terminated"] = terminated
        _, status, _ = run_wsgi_app(WSGIApp(site.host), environ)
        assert status == "400 BAD REQUEST"

    def test_wsgi_in_small_parts(self, site):
        """A server may return fewer bytes than it is asked for."""
        from werkzeug.test import EnvironBuilder, run_wsgi_app

        class Slow(io.BytesIO):
            def read(self, size=-1):
                return super().read(min(size, 7) if size > 0 else 7)

        body = urlencode({"email": "bob@example.org", "password": PASSWORD}).encode()
        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
        environ = EnvironBuilder(path="/account/signup", method="POST", headers=headers).get_environ()
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = Slow(body)
        environ["wsgi.input_terminated"] = True
        _, status, _ = run_wsgi_app(WSGIApp(site.host), environ)
        assert status == "303 SEE OTHER"


@pytest.fixture
def open_app(host):
    """Open a client of a Starlette application: ``open_app(middleware, …)``."""
    pytest.importorskip("httpx2")
    pytest.importorskip("starlette")
    from attacked_app import build
    from starlette.testclient import TestClient

    def opened(*middleware):
        options = {"base_url": BASE_URL, "client": ("203.0.113.7", 50000), "headers": {"Origin": BASE_URL}}
        return TestClient(build(host, middleware), **options, raise_server_exceptions=False)

    return opened


def cookie_header(client):
    return "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)


class TestWebSockets:
    @pytest.mark.parametrize("origin", ["https://evil.example", "https://sub.example.org", "null", None])
    @pytest.mark.parametrize("accept", ["first", "last"])
    def test_another_origin_has_no_user(self, open_app, origin, accept):
        """Any page can open a WebSocket, and a subdomain does so with the cookies of this site."""
        from starlette.websockets import WebSocketDisconnect

        client = open_app()
        client.post("/signup", json=SIGNUP)
        if origin is None:
            del client.headers["Origin"]
        headers = {"cookie": cookie_header(client), **({"origin": origin} if origin else {})}
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect(f"/socket/{accept}", headers=headers) as socket,
        ):
            socket.receive_json()
        assert (closed.value.code, closed.value.reason) == (1008, "cross_site")

    def test_without_a_cookie_a_program_may_connect(self, open_app):
        client = open_app()
        del client.headers["Origin"]
        with client.websocket_connect("/socket/first") as socket:
            assert socket.receive_json() == {"email": None}


def test_the_authentication_middleware_refuses_another_site(open_app):
    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware

    from authhost.web.starlette_backend import Backend

    client = open_app(Middleware(AuthenticationMiddleware, backend=Backend()))
    client.post("/signup", json=SIGNUP)
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    response = client.post("/user", headers=headers)
    assert (response.status_code, "came from another site" in response.text) == (400, True)
    assert client.post("/user").json() == {"email": ANN}


class TestProcesses:
    @pytest.mark.parametrize("used", [True, False])
    def test_a_host_that_was_forked_shares_no_connection(self, host, used):
        """Two processes on one connection would read each other's results."""
        mounted = Mounted(host)
        if used:
            _ = mounted.web
        with host.engine.connect() as connection:
            parent = id(connection.connection.driver_connection)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with mounted.web.host.engine.connect() as connection:
                os.write(writing, b"%d" % id(connection.connection.driver_connection))
            os._exit(0)
        os.waitpid(child, 0)
        assert int(os.read(reading, 100)) != parent
        with host.engine.connect() as connection:
            assert id(connection.connection.driver_connection) == parent

    def test_the_host_is_closed_if_the_application_does_not_start(self, host):
        settings = replace(host.settings, plugins=(), email_verification="none")
        opened = []

        async def application(scope, receive, send):
            await receive()
            opened.append(app.mounted.web.host)
            await send({"type": "lifespan.startup.failed", "message": "no"})

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            pass

        app = ASGIApp(settings, application)
        asyncio.run(app({"type": "lifespan"}, receive, send))
        assert [each.closed for each in opened] == [True]


class TestRoutes:
    def test_middleware_that_copies_the_scope_loses_no_cookie(self, open_app):
        from starlette.middleware import Middleware

        class Copying:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                await self.app(dict(scope), receive, send)

        response = open_app(Middleware(Copying)).post("/signup", json=SIGNUP)
        assert SESSION in response.headers["set-cookie"]

    @pytest.mark.parametrize(
        "path",
        ["/page", "/sub/page", "/sub/a%3Fb", "/sub/50%25", "/sub/%2e%2e%3Fx", "/sub/ü", "/sub//x.example"],
    )
    def test_the_login_leads_back_to_the_same_page(self, open_app, path):
        response = open_app().get(f"{path}?q=1", headers={"Accept": "text/html"}, follow_redirects=False)
        found = parse_qs(urlsplit(response.headers["Location"]).query)["next"]
        expected = quote(path, safe="/%").replace("%2e", ".")
        assert found == [f"{expected}?q=1"]

    def test_a_path_like_another_host_is_no_target(self, open_app):
        client = open_app()
        response = client.get("/sub/page", headers={"Accept": "text/html"}, follow_redirects=False)
        client.post("/signup", json=SIGNUP)
        for target in ("//evil.example/sub/page", "/\\evil.example"):
            response = client.get("/account/login", params={"next": target}, follow_redirects=False)
            assert response.headers["Location"] == "/account/"

    def test_no_cache_gives_a_response_to_another_person(self, open_app):
        client = open_app()
        assert client.get("/page").headers["Cache-Control"] == "no-store"
        assert client.get("/user").headers["Vary"] == "Cookie, Authorization"

    @pytest.mark.parametrize("waits", [True, False])
    def test_a_cancelled_route_ends_its_unit_of_work(self, host, waits):
        """Otherwise its transaction stays open, and locks what it has changed."""
        import anyio

        from authhost.web.asgi import in_thread

        units = []

        async def route():
            with anyio.CancelScope() as scope:
                async with in_thread(host.request()) as request:
                    units.append(request)
                    scope.cancel()
                    if waits:
                        await anyio.lowlevel.checkpoint()

        anyio.run(route)
        with pytest.raises(RuntimeError, match="has ended"):
            _ = units[0].user

    def test_a_second_unit_of_work_knows_the_login_of_the_first(self, host):
        flask = pytest.importorskip("flask")
        from authhost.web.flask import current_user, mount, unit_of_work

        app = flask.Flask(__name__)
        mount(app, host)

        @app.post("/signup")
        def sign_up():
            with unit_of_work() as request:
                host.account.signup(request, **SIGNUP)
            with unit_of_work() as request:
                return {"email": request.user.email if request.user else None}

        @app.get("/user")
        def user():
            found = current_user()
            return {"email": found.email if found else None}

        client = app.test_client()
        client.set_cookie(SESSION, "x" * 43, domain="example.org")  # of a session that has ended
        response = client.post("/signup", base_url=BASE_URL, headers={"Origin": BASE_URL})
        assert response.json == {"email": ANN}
        assert client.get("/user", base_url=BASE_URL).json == {"email": ANN}
