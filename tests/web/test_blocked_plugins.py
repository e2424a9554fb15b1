"""The web layer while a plugin is blocked at run time: its pages, endpoints, sections and steps."""

from __future__ import annotations

import pytest
from authhost_hookspecs import (
    Actor,
    ApiRoute,
    Form,
    LoginStep,
    Page,
    PageRoute,
    Panel,
    Section,
    hookimpl,
)

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

ACCOUNT = {"email": "ann@example.org", "password": PASSWORD}
LOGIN = {"identifier": "ann@example.org", "password": PASSWORD}


class Gate:
    """Guards accounts; has a page, endpoints, a section of the account page, and a step of logins."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("code", "/code", ("pin",))] if "gate" in user.login_guards else []

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/code", self.show, self.enter, step="code"),
            ApiRoute("POST", "/code", self.enter, "Enter.", step="code"),
            PageRoute("/settings", self.show, self.guard, login=True),
            ApiRoute("GET", "/about", lambda request, values: {"ok": True}, "Read."),
        ]

    @hookimpl
    def register_panels(self):
        return [lambda request: Section("Gate"), Panel("login", lambda request: Section("Gate"))]

    def show(self, request):
        return Page("gate", "Gate", forms=(Form("/settings", "Continue"),))

    def enter(self, request, values=None):
        request.logins.complete_step("gate.code", method="pin", factors=("knowledge",))

    def guard(self, request, values):
        request.logins.guard("gate", request.user.id)


@pytest.fixture
def client(open_site):
    client = WebClient(open_site({"gate": Gate()}, email_verification="none"))
    client.post("/signup", **ACCOUNT)
    return client


def block(client):
    client.web.host.plugins.block("gate", reason="it hangs", actor=Actor("operator", name="root"))


def unblock(client):
    client.web.host.plugins.unblock("gate", actor=Actor("operator", name="root"))


def titles(client, path="/"):
    return [each["title"] for each in client.page(path)["sections"]]


def test_pages_endpoints_and_sections_do_not_exist(client):
    for _ in range(2):
        assert client.get("/gate/settings").status_code == 200
        assert client.api("/gate/about", method="GET") == (200, {"ok": True})
        assert "Gate" in titles(client)
        assert client.api("/site", method="GET")[1]["plugins"] == ["gate"]
        block(client)
        assert client.get("/gate/settings").status_code == 404
        assert client.post("/gate/settings").status_code == 404
        assert client.get("/gate/code").status_code == 404
        status, problem = client.api("/gate/about", method="GET")
        assert (status, problem["code"]) == (404, "not_found")
        assert "Gate" not in titles(client)
        assert client.api("/site", method="GET")[1]["plugins"] == []
        unblock(client)


def test_a_login_that_waits_for_the_plugin_stays_outside(client):
    client.post("/gate/settings")
    client.post("/logout")
    assert client.post("/login", **LOGIN).headers["Location"] == "/account/gate/code"
    block(client)
    assert client.get("/gate/code").status_code == 404
    assert client.post("/gate/code").status_code == 404
    assert client.api("/gate/code")[0] == 404
    assert client.get("/").headers["Location"].startswith("/account/login")
    status, problem = client.api("/login", LOGIN)
    assert problem["code"] == "login_unavailable"
    assert client.post("/login", **LOGIN).status_code == status
    assert client.api("/session", method="GET")[0] == 401
    assert "Gate" not in titles(client, "/login")
    unblock(client)
    assert client.post("/login", **LOGIN).headers["Location"] == "/account/gate/code"
    client.post("/gate/code")
    assert client.get("/").status_code == 200


def test_probes_show_it_and_stay_ready(client):
    block(client)
    assert client.get("/readyz").status_code == 200
