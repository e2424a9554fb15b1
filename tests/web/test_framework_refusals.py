"""A refusal in an application's route is answered like one of the JSON API, in every framework."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from authhost_hookspecs import ApiRoute, LoginStep, Page, PageRoute, hookimpl

from authhost.errors import ReauthenticationRequired
from authhost.testing import PASSWORD

BASE_URL = "https://example.org"
SIGNUP = {"email": "ann@example.org", "password": PASSWORD}
APP = {"Authhost-Client": "app"}


class Gate:
    """Every login waits for a step."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("code", "/code", ("pin",))]

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/code", lambda request: Page("gate", "Code"), step="code"),
            ApiRoute("POST", "/code", self.enter, "Enter the code.", step="code"),
        ]

    def enter(self, request, values):
        request.logins.complete_step("gate.code")


@dataclass
class Answer:
    status: int
    headers: dict
    body: dict


class FastAPIClient:
    def __init__(self, host):
        pytest.importorskip("httpx2")
        fastapi = pytest.importorskip("fastapi")
        from fastapi.testclient import TestClient

        from authhost.web.fastapi import login_required, mount

        app = fastapi.FastAPI()
        mount(app, host)

        @app.get("/me", dependencies=[fastapi.Depends(login_required)])
        def me(): ...

        @app.get("/recent", dependencies=[fastapi.Depends(login_required)])
        def recent():
            raise ReauthenticationRequired(max_age=300)

        self.client = TestClient(app, base_url=BASE_URL, client=("203.0.113.7", 50000))

    def send(self, method, path, json=None, headers=None):
        response = self.client.request(
            method, path, json=json, headers={"Origin": BASE_URL, **(headers or {})}
        )
        return Answer(response.status_code, response.headers, response.json())


class StarletteClient(FastAPIClient):
    def __init__(self, host):
        pytest.importorskip("httpx2")
        applications = pytest.importorskip("starlette.applications")
        from starlette.routing import Route
        from starlette.testclient import TestClient

        from authhost.web.starlette import login_required, mount

        @login_required
        async def me(http): ...

        @login_required
        async def recent(http):
            raise ReauthenticationRequired(max_age=300)

        app = applications.Starlette(routes=[Route("/me", me), Route("/recent", recent)])
        mount(app, host)
        self.client = TestClient(app, base_url=BASE_URL, client=("203.0.113.7", 50000))


class FlaskClient:
    def __init__(self, host):
        flask = pytest.importorskip("flask")
        from authhost.web.flask import login_required, mount

        app = flask.Flask("site")
        mount(app, host)

        @app.get("/me")
        @login_required
        def me(): ...

        @app.get("/recent")
        @login_required
        def recent():
            raise ReauthenticationRequired(max_age=300)

        self.client = app.test_client()

    def send(self, method, path, json=None, headers=None):
        headers = {"Origin": BASE_URL, **(headers or {})}
        response = self.client.open(path, method=method, json=json, base_url=BASE_URL, headers=headers)
        return Answer(response.status_code, response.headers, response.get_json())


@pytest.fixture(params=[FastAPIClient, StarletteClient, FlaskClient])
def client(request, open_site):
    return request.param(open_site({"gate": Gate()}, email_verification="none").host)


def credentials(client, *, app):
    """Sign up; return the headers of the pending login of a program or of a browser."""
    waiting = client.send("POST", "/account/api/signup", SIGNUP, APP if app else {})
    assert waiting.status == 202
    return {"Authorization": f"Bearer {waiting.body['pending_token']}"} if app else {}


@pytest.mark.parametrize("app", [True, False])
def test_a_pending_login_gets_the_steps_that_it_waits_for(client, app):
    headers = credentials(client, app=app)
    own = client.send("GET", "/account/api/session", headers=headers)
    answer = client.send("GET", "/me", headers=headers)
    assert (answer.status, answer.body) == (own.status, own.body)
    assert answer.body["next"][0] == {
        "step": "gate.code",
        "path": "/account/api/gate/code",
        "methods": ["pin"],
    }
    assert answer.headers["WWW-Authenticate"] == own.headers["WWW-Authenticate"]


@pytest.mark.parametrize("app", [True, False])
def test_an_old_login_gets_the_ways_to_confirm_it(client, app):
    headers = credentials(client, app=app)
    done = client.send("POST", "/account/api/gate/code", {}, headers)
    if app:
        headers = {"Authorization": f"Bearer {done.body['session_token']}"}
    answer = client.send("GET", "/recent", headers=headers)
    assert (answer.status, answer.body["code"]) == (401, "reauthentication_required")
    assert answer.body["next"] == [{"step": "reauthenticate", "path": "/account/api/reauthenticate"}]
