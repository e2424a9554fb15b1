"""Flask and Starlette: the shared unit of work, refusals, requests of other sites, and the backend."""

from __future__ import annotations

import pytest
from authhost_hookspecs import ApiRoute, Refused, hookimpl

from authhost.testing import PASSWORD

BASE_URL = "https://example.org"
SIGNUP = {"email": "ann@example.org", "password": PASSWORD}


@pytest.fixture
def host(open_site):
    return open_site().host


def flask_client(host):
    flask = pytest.importorskip("flask")
    from authhost.web.flask import AuthHostExtension, unit_of_work

    app = flask.Flask("site")
    AuthHostExtension(source=host).init_app(app)

    @app.post("/signup")
    def sign_up():
        with unit_of_work() as request:
            host.account.signup(request, **flask.request.get_json())
            if "fail" in flask.request.args:
                raise LookupError
        return {}

    app.register_error_handler(LookupError, lambda error: ("", 418))
    client = app.test_client()

    def post(path, json, headers=None):
        return client.post(
            path, json=json, base_url=BASE_URL, headers={"Origin": BASE_URL, **(headers or {})}
        )

    return post, lambda response: response.get_json()


def starlette_client(host):
    pytest.importorskip("httpx2")
    applications = pytest.importorskip("starlette.applications")
    from anyio import to_thread
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from authhost.web.starlette import mount, unit_of_work

    async def sign_up(http):
        given = await http.json()
        async with unit_of_work(http) as request:
            await to_thread.run_sync(lambda: host.account.signup(request, **given))
            if "fail" in http.query_params:
                raise LookupError
        return JSONResponse({})

    async def failed(http, error):
        return Response(status_code=418)

    app = applications.Starlette(routes=[Route("/signup", sign_up, methods=["POST"])])
    app.add_exception_handler(LookupError, failed)
    mount(app, host)
    client = TestClient(app, base_url=BASE_URL, client=("203.0.113.7", 50000), headers={"Origin": BASE_URL})
    return client.post, lambda response: response.json()


@pytest.mark.parametrize("connect", [flask_client, starlette_client])
def test_a_unit_of_work_in_flask_and_starlette(host, connect):
    post, json_of = connect(host)
    weak = post("/signup", json={**SIGNUP, "password": "short"})
    assert (weak.status_code, json_of(weak)["code"]) == (400, "weak_password")
    assert post("/signup?fail=1", json=SIGNUP).status_code == 418
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert json_of(post("/signup", json=SIGNUP, headers=foreign))["code"] == "cross_site"
    done = post("/signup", json=SIGNUP)  # the failed route has stored no account
    assert done.status_code == 200
    assert "__Host-authhost-session" in done.headers["set-cookie"]


def test_requires_of_starlette_uses_the_backend(host):
    pytest.importorskip("httpx2")
    applications = pytest.importorskip("starlette.applications")
    from starlette.authentication import requires
    from starlette.middleware.authentication import AuthenticationMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from authhost.web.starlette import mount
    from authhost.web.starlette_backend import Backend

    @requires("authenticated")
    async def me(request):
        return JSONResponse({"name": request.user.display_name, "id": request.user.identity})

    app = applications.Starlette(routes=[Route("/me", me)])
    app.add_middleware(AuthenticationMiddleware, backend=Backend())
    mount(app, host)
    with TestClient(app, base_url=BASE_URL, client=("203.0.113.7", 50000)) as client:
        assert client.get("/me").status_code == 403
        client.post("/account/api/signup", json=SIGNUP, headers={"Origin": BASE_URL})
        user = client.get("/me").json()
    assert user["name"] == "ann@example.org"
    assert user["id"]


class Desk:
    """Refuses new addresses until somebody has confirmed."""

    @hookimpl
    def before_change(self, request, user, change):
        raise Refused("ask_at_the_desk", "Please ask at the desk first.", path="/confirm")

    @hookimpl
    def register_routes(self):
        return [ApiRoute("POST", "/confirm", lambda request, values: None, "Confirm.")]


def test_a_plugins_refusal_in_a_route_lists_its_endpoint(open_site):
    flask = pytest.importorskip("flask")
    from authhost.web.flask import AuthHostExtension, unit_of_work

    host = open_site({"desk": Desk()}, email_verification="none").host
    app = flask.Flask("site")
    AuthHostExtension(source=host).init_app(app)

    @app.post("/signup")
    def sign_up():
        with unit_of_work() as request:
            host.account.signup(request, **SIGNUP)
            host.account.add_email(request, email="new@example.org")
        return {}

    client = app.test_client()
    response = client.post("/signup", base_url=BASE_URL, headers={"Origin": BASE_URL})
    assert (response.status_code, response.get_json()["plugin_code"]) == (403, "ask_at_the_desk")
    assert response.get_json()["next"] == [
        {"step": "desk.ask_at_the_desk", "path": "/account/api/desk/confirm"}
    ]
