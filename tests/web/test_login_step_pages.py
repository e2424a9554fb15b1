"""The pages and endpoints of login steps: only for a login that waits for them, and they lead on."""

from __future__ import annotations

import pytest
from authhost_hookspecs import ApiRoute, Field, Form, LoginStep, Page, PageRoute, Refused, hookimpl
from sqlalchemy import event

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient
from authhost.web.languages import LANGUAGES, language

CODE = Field("code", "Code", "code")
ACCOUNT = {"email": "ann@example.org", "password": PASSWORD}
LOGIN = {"identifier": "ann@example.org", "password": PASSWORD}
STEP = "/gate/code"


class Gate:
    """Asks for the code ``right``, then for nothing, or for another step that is the last one."""

    def __init__(self, *, last=False):
        self.last = last

    @hookimpl
    def login_steps(self, request, user):
        steps = [LoginStep("code", "/code", ("pin",))]
        return [*steps, LoginStep("enrol", "/enrol", last=True)] if self.last else steps

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/code", self.show, self.enter, (CODE,), step="code"),
            PageRoute("/enrol", self.show, self.enrol, step="enrol"),
            PageRoute("/settings", self.show),
            ApiRoute("POST", "/code", self.enter, "Enter the code.", (CODE,), step="code"),
            ApiRoute("GET", "/code", self.about, "Return the user.", step="code"),
        ]

    def show(self, request):
        return Page("gate", "Code", forms=(Form("/code", "Continue", (CODE,)),))

    def about(self, request, values):
        return {"email": request.logins.pending.user.email}

    def enter(self, request, values):
        if values["code"] == "again":
            return Page("again", "Again", forms=(Form("/code", "Continue", (CODE,)),))
        if values["code"] != "right":
            raise Refused("wrong_code", "The code is not right.", field="code")
        request.logins.complete_step("gate.code", method="pin", factors=("knowledge",))
        return None

    def enrol(self, request, values):
        request.logins.complete_step("gate.enrol")


@pytest.fixture
def site(open_site):
    return open_site({"gate": Gate()}, email_verification="none")


@pytest.fixture
def waiting(site):
    """A client whose login waits for the code."""
    client = WebClient(site)
    client.post("/signup", **ACCOUNT)
    return client


def is_logged_in(client):
    return client.api("/session", method="GET")[0] == 200


def location(response):
    return response.headers["Location"]


def test_a_login_leads_to_the_step_and_then_to_the_wanted_page(site, waiting):
    client = WebClient(site)
    assert location(client.post("/login", **LOGIN, next="/shop")) == f"/account{STEP}?next=%2Fshop"
    (form,) = client.page(f"{STEP}?next=%2Fshop")["forms"]
    assert form["action"] == f"{STEP}?next=%2Fshop"
    assert location(client.post(form["action"], code="right")) == "/shop"
    assert is_logged_in(client)


def test_a_refused_form_keeps_the_wanted_page(waiting):
    response = waiting.post(f"{STEP}?next=%2Fshop", code="wrong")
    text = response.body.decode()
    assert response.status_code == 403
    assert "The code is not right." in text
    assert f'action="/account{STEP}?next=%2Fshop"' in text
    assert not is_logged_in(waiting)


def test_a_page_that_the_action_returns_is_shown(waiting):
    response = waiting.post(f"{STEP}?next=%2Fshop", code="again")
    assert f'action="/account{STEP}?next=%2Fshop"' in response.body.decode()


def test_another_site_as_the_wanted_page_is_ignored(waiting):
    assert location(waiting.post(f"{STEP}?next=https://evil.example", code="right")) == "/account/"


def test_only_a_login_that_waits_gets_the_page(site, waiting):
    visitor = WebClient(site)
    assert location(visitor.get(STEP)) == "/account/login"
    assert location(visitor.post(STEP, code="right")) == "/account/login"
    assert visitor.api("/gate/code", {"code": "right"})[0] == 401
    assert visitor.api("/gate/code", method="GET")[0] == 401


def test_who_is_logged_in_already_is_led_on(site, waiting):
    """Such as after a form that was sent twice, or with the button "back"."""
    waiting.post(STEP, code="right")
    for path, target in ((STEP, "/account/"), (f"{STEP}?next=%2Fshop", "/shop")):
        assert location(waiting.get(path)) == target
        assert location(waiting.post(path, code="right")) == target
        assert location(waiting.post(path, code="wrong")) == target
    for method in ("GET", "POST"):
        status, body = waiting.api("/gate/code", {"code": "right"}, method=method)
        assert (status, body["code"], "next" in body) == (409, "already_logged_in", False)
    other = {"identifier": "ann@example.org", "password": PASSWORD}
    assert location(waiting.post("/login", **other)) == f"/account{STEP}", "a second login can still wait"
    assert waiting.page(STEP)["title"] == "Code"


def test_the_openapi_document_names_the_refusal(site):
    step = site.openapi["paths"]["/account/api/gate/code"]["post"]
    assert "`already_logged_in`" in step["responses"]["409"]["description"]


def test_a_login_that_waits_gets_no_other_page(waiting):
    """Such as one that adds the key of a thief, or deletes that of the owner."""
    assert location(waiting.get("/gate/settings")).startswith("/account/login?")
    assert location(waiting.get("/emails")).startswith("/account/login?")
    assert waiting.api("/emails", method="GET")[0] == 401
    assert waiting.api("/session", method="GET")[0] == 401


def test_no_cookie_of_a_session_before_the_last_step(site):
    client = WebClient(site)
    client.post("/signup", **ACCOUNT)
    names = site.context.cookies
    assert names.pending in client.cookies
    assert names.session not in client.cookies
    assert names.device not in client.cookies
    client.post(STEP, code="right")
    assert names.pending not in client.cookies
    assert names.session in client.cookies


def test_the_last_step_waits_for_the_others(open_site):
    client = WebClient(open_site({"gate": Gate(last=True)}, email_verification="none"))
    assert location(client.post("/signup", **ACCOUNT)) == f"/account{STEP}"
    assert location(client.get("/gate/enrol")) == "/account/login"
    assert location(client.post("/gate/enrol")) == "/account/login"
    assert location(client.post(STEP, code="right")) == "/account/gate/enrol"
    assert location(client.post("/gate/enrol")) == "/account/"
    assert is_logged_in(client)


class Last(Gate):
    """Has only the last step."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("enrol", "/enrol", last=True)]

    def enrol(self, request, values):
        request.logins.complete_step("other.enrol")


def test_two_plugins_have_a_last_step(open_site):
    client = WebClient(open_site({"gate": Gate(last=True), "other": Last()}, email_verification="none"))
    client.post("/signup", **ACCOUNT)
    assert location(client.get("/other/enrol")) == "/account/login"
    client.post(STEP, code="right")
    assert location(client.post("/other/enrol")) == "/account/gate/enrol"
    assert location(client.post("/gate/enrol")) == "/account/"
    assert is_logged_in(client)


def test_a_program_with_cookies(site, waiting):
    client = WebClient(site)
    status, body = client.api("/login", LOGIN)
    assert status == 202
    assert body["next"][0] == {"step": "gate.code", "path": "/account/api/gate/code", "methods": ["pin"]}
    assert client.api("/gate/code", method="GET") == (
        202,
        {
            "email": "ann@example.org",
            "authenticated": False,
            "user": None,
            "impersonation": None,
            "next": body["next"],
        },
    )
    status, problem = client.api("/gate/code", {"code": "wrong"})
    assert (status, problem["plugin_code"], problem["field"]) == (403, "wrong_code", "code")
    status, body = client.api("/gate/code", {"code": "right"})
    assert (status, body["authenticated"], body["next"]) == (200, True, [])


def test_an_app_without_cookies(site, waiting):
    client = WebClient(site)
    _, body = client.api("/login", LOGIN, headers={"Authhost-Client": "app"})
    bearer = {"Authorization": f"Bearer {body['pending_token']}"}
    status, body = client.api("/gate/code", {"code": "right"}, headers=bearer)
    assert (status, body["authenticated"]) == (200, True)
    session = {"Authorization": f"Bearer {body['session_token']}"}
    assert client.api("/session", method="GET", headers=session)[0] == 200


def test_a_401_lists_the_steps(waiting):
    status, problem = waiting.api("/session", method="GET")
    assert (status, problem["next"][0]["step"]) == (401, "gate.code")


def test_the_openapi_document_has_the_state_of_the_login(site):
    _, document = WebClient(site).api("/openapi.json", method="GET")
    operation = document["paths"]["/account/api/gate/code"]["post"]
    schema = operation["responses"]["202"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/Login"} in schema["allOf"]
    assert {} in operation["security"]


def test_a_program_that_is_logged_in_learns_the_steps(site, waiting):
    """Who is logged in stays so until the last step."""
    client = waiting
    client.api("/gate/code", {"code": "right"})
    for _ in range(2):
        status, body = client.api("/login", LOGIN)
        assert (status, body["authenticated"]) == (202, True)
        assert body["next"] == [{"step": "gate.code", "path": "/account/api/gate/code", "methods": ["pin"]}]
        status, body = client.api("/gate/code", {"code": "right"})
        assert (status, body["authenticated"], body["next"]) == (200, True, [])


class Broken(Gate):
    broken = False

    @hookimpl
    def login_steps(self, request, user):
        if self.broken:
            raise RuntimeError("no database")
        return super().login_steps(request, user)


def test_a_step_that_fails_hides_no_other_refusal(open_site):
    """Neither who is logged in, nor that a password is wrong."""
    gate = Broken()
    client = WebClient(open_site({"gate": gate}, email_verification="none"))
    client.post("/signup", **ACCOUNT)
    gate.broken = True
    for path, values in (
        ("/session", None),
        ("/emails", None),
        ("/login", {**LOGIN, "password": "a wrong one"}),
    ):
        status, body = client.api(path, values, method="GET" if values is None else "POST")
        assert (status, body["next"][0]["step"]) == (401, "login")
    assert client.api("/gate/code", method="GET")[0] == 403
    assert client.api("/login", LOGIN)[0] == 403


def says_that_a_login_waits(page):
    return "login_pending" in [each["code"] for each in page["messages"]]


def test_the_login_page_leads_back_to_the_step(site, waiting):
    page = waiting.page("/login?next=%2Fshop")
    assert says_that_a_login_waits(page)
    assert page["sections"][0]["links"][0] == {
        "label": "Continue your login",
        "target": f"{STEP}?next=%2Fshop",
    }
    text = waiting.get("/login").body.decode()
    assert f'<a href="/account{STEP}">Continue your login</a>' in text
    assert text.index("Continue your login") < text.index('name="password"')
    assert "ann" not in text, "the next person at this machine may be another one"
    assert not says_that_a_login_waits(WebClient(site).page("/login"))


def test_the_account_page_leads_back_to_a_second_login(site, waiting):
    waiting.post(STEP, code="right")
    assert not says_that_a_login_waits(waiting.page("/"))
    waiting.post("/login", **LOGIN)
    page = waiting.page("/")
    assert says_that_a_login_waits(page)
    assert page["sections"][0]["links"][0]["target"] == STEP
    response = waiting.post("/login/cancel")
    assert location(response) == "/account/"
    assert waiting.messages("/") == ["login_cancelled"]
    assert is_logged_in(waiting)


def test_a_login_that_waits_is_started_over(site, waiting):
    other = WebClient(site)
    other.post("/login", **LOGIN)
    assert location(waiting.post("/login/cancel")) == "/account/login"
    assert waiting.messages("/login") == ["login_cancelled"]
    assert not says_that_a_login_waits(waiting.page("/login"))
    assert location(waiting.get(STEP)) == "/account/login"
    assert says_that_a_login_waits(other.page("/login")), "that of another browser stays"
    status, body = other.api("/login/cancel")
    assert (status, body["authenticated"], body["next"][0]["step"]) == (200, False, "login")
    assert not says_that_a_login_waits(other.page("/login"))


@pytest.mark.parametrize("tag", LANGUAGES)
def test_it_is_said_in_each_language(waiting, tag):
    waiting.headers["Accept-Language"] = tag
    translated = language(tag).gettext
    page = waiting.page("/login")
    assert page["messages"][0]["text"] == translated("Your login is not complete yet.")
    assert page["sections"][0]["title"] == translated("Continue your login")


def test_an_address_that_is_not_confirmed_is_such_a_step(open_site):
    client = WebClient(open_site(email_verification="mandatory"))
    client.post("/signup", **ACCOUNT)
    assert client.page("/login")["sections"][0]["links"][0]["target"] == "/confirm-email"


def test_the_pending_login_is_read_once(site, waiting):
    """By the check of the route, also for what the plugin reads of it."""
    seen = []

    def on_execute(connection, cursor, sql, *rest):
        seen.append(sql)

    engine = site.context.host.engine
    event.listen(engine, "before_cursor_execute", on_execute)
    try:
        assert waiting.page(STEP)["id"] == "gate"
    finally:
        event.remove(engine, "before_cursor_execute", on_execute)
    assert len([each for each in seen if "FROM authhost_pending_login" in each]) == 1
