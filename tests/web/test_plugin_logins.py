"""Logins, steps and reauthentications by the routes of plugins lead on like those of the core."""

from __future__ import annotations

from contextlib import suppress

import pytest
from authhost_hookspecs import ApiRoute, Field, FlowError, LoginStep, Page, PageRoute, Refused, hookimpl
from sqlalchemy import select

from authhost.store.tables import users
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

ANN = "ann@example.org"
CODE = Field("code", "Code", "code")
PAGE = Page("key", "Key")


class Key:
    """Logs Ann in by a code; ``steps`` are what the login still needs."""

    def __init__(self):
        self.user_id, self.steps, self.shown = None, [], None

    @hookimpl
    def login_steps(self, request, user):
        return self.steps

    @hookimpl
    def register_routes(self):
        def api(run, path, **options):
            return ApiRoute("POST", path, run, "Use a key.", (CODE,), **options)

        return [
            PageRoute("/login", lambda request: PAGE, self.log_in, (CODE,), login=False),
            PageRoute("/again", lambda request: PAGE, self.reauthenticate, (CODE,)),
            PageRoute("/idle", lambda request: PAGE, lambda request, values: None, (CODE,)),
            PageRoute("/step", lambda request: PAGE, self.complete, (CODE,), step="tea"),
            api(self.log_in, "/login", login=False),
            api(self.reauthenticate, "/again"),
        ]

    def log_in(self, request, values):
        if values["code"] == "caught":
            with suppress(FlowError):
                request.logins.log_in(request.new_id(), method="key", factors=["possession"])
            return None
        if values["code"] != "right":
            raise Refused("wrong", "The code is wrong.", field="code")
        request.logins.log_in(self.user_id, method="key", factors=["possession"])
        return self.shown

    def reauthenticate(self, request, values):
        request.logins.reauthenticate(method="key", factors=["possession"])

    def complete(self, request, values):
        request.logins.complete_step("key.tea", method="tea", factors=["knowledge"])


@pytest.fixture
def key():
    return Key()


@pytest.fixture
def ann(open_site, key):
    """A client in which Ann has signed up, and is logged out."""

    def opened(**settings):
        client = WebClient(open_site({"key": key}, **settings))
        client.post("/signup", email=ANN, password=PASSWORD)
        host = client.web.host
        with host.engine.connect() as connection:
            key.user_id = connection.execute(select(users.c.id)).scalar_one()
        client.cookies.clear()
        return client

    return opened


def location(response):
    return response.status_code, response.headers.get("Location")


def logged_in(client):
    return client.api("/session", method="GET")[0] == 200


class TestPages:
    @pytest.mark.parametrize(
        ("query", "settings", "target"),
        [
            ("", {}, "/account/"),
            ("?next=%2Fme", {}, "/me"),
            ("", {"after_login": "/home"}, "/home"),
            ("?next=%2F%2Fevil.example", {}, "/account/"),
        ],
    )
    def test_a_login_leads_to_where_the_person_wanted(self, ann, query, settings, target):
        client = ann(**settings)
        assert location(client.post(f"/key/login{query}", code="right")) == (303, target)
        assert logged_in(client)

    def test_a_login_that_waits_leads_to_its_step(self, ann, key):
        client = ann()
        key.steps = [LoginStep("tea", "/step")]
        response = client.post("/key/login?next=%2Fme", code="right")
        assert location(response) == (303, "/account/key/step?next=%2Fme")
        assert not logged_in(client)
        assert location(client.post("/key/step?next=%2Fme", code="x")) == (303, "/me")
        assert logged_in(client)

    def test_a_login_that_waits_for_the_address_leads_there(self, ann):
        client = ann(email_verification="mandatory")
        assert location(client.post("/key/login", code="right")) == (303, "/account/confirm-email")
        assert not logged_in(client)

    def test_a_page_of_the_action_is_shown(self, ann, key):
        client = ann()
        key.shown = Page("welcome", "Welcome")
        assert "<h1>Welcome</h1>" in client.post("/key/login", code="right").body.decode()
        assert logged_in(client)

    @pytest.mark.parametrize(("query", "target"), [("", "/account/"), ("?next=%2Fme", "/me")])
    def test_a_reauthentication_leads_back(self, ann, query, target):
        client = ann()
        client.post("/login", identifier=ANN, password=PASSWORD)
        before = client.cookies.copy()
        assert location(client.post(f"/key/again{query}", code="x")) == (303, target)
        assert client.cookies != before
        assert logged_in(client)

    def test_an_action_without_a_login_shows_its_page_again(self, ann):
        client = ann()
        client.post("/login", identifier=ANN, password=PASSWORD)
        assert location(client.post("/key/idle?next=%2Fme", code="x")) == (303, "/account/key/idle")

    @pytest.mark.parametrize("code", ["wrong", "caught"])
    def test_a_refused_login_leads_nowhere(self, ann, code):
        client = ann()
        response = client.post("/key/login?next=%2Fme", code=code)
        assert location(response) == ((403, None) if code == "wrong" else (303, "/account/key/login"))
        assert not logged_in(client)


class TestJSON:
    def test_a_login_says_who_is_logged_in(self, ann):
        client = ann()
        status, body = client.api("/key/login", {"code": "right"})
        assert (status, body["authenticated"], body["user"]["email"]) == (200, True, ANN)
        assert logged_in(client)

    def test_a_login_that_waits_says_for_what(self, ann, key):
        client = ann()
        key.steps = [LoginStep("tea", "/step", ("tea",))]
        status, body = client.api("/key/login", {"code": "right"})
        assert (status, body["authenticated"]) == (202, False)
        assert body["next"][0] == {"step": "key.tea", "path": "/account/api/key/step", "methods": ["tea"]}

    def test_a_program_gets_the_token(self, ann):
        client = ann()
        status, body = client.api("/key/login", {"code": "right"}, headers={"Authhost-Client": "app"})
        assert status == 200
        assert body["session_token"]

    def test_a_reauthentication_returns_the_new_token(self, ann):
        client = ann()
        app = {"Authhost-Client": "app"}
        _, body = client.api("/key/login", {"code": "right"}, headers=app)
        bearer = {**app, "Authorization": f"Bearer {body['session_token']}"}
        status, again = client.api("/key/again", {"code": "x"}, headers=bearer)
        assert (status, again["authenticated"]) == (200, True)
        assert again["session_token"] != body["session_token"]

    def test_it_is_in_the_openapi_document(self, ann):
        paths = ann().web.openapi["paths"]
        assert "202" in paths["/account/api/key/login"]["post"]["responses"]
        assert "202" not in paths["/account/api/key/again"]["post"]["responses"]
