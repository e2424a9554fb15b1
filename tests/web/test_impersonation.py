"""An administrator goes to the account of a user and back, in a browser and as a program."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from authhost_hookspecs import Actor, ApiRoute, Page, PageRoute, hookimpl

from authhost.errors import Conflict, ImpersonationRefused, InvalidInput
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient as Client

ADMIN, ANN = "admin@example.org", "ann@example.org"
ROOT = Actor("operator", name="root")
SESSION, OWN = "__Host-authhost-session", "__Host-authhost-administrator"
BANNER = "You work in the account of ann@example.org."
REFUSED = "This is not possible while you work in the account of somebody else."
REASON = "Ticket 4711"
APP = {"Authhost-Client": "app"}


class Notes:
    """A plugin with pages that show and change something."""

    def __init__(self):
        self.changes = 0

    def show(self, request):
        return Page("notes", "Notes")

    def change(self, request, values):
        self.changes += 1

    def run(self, request, values):
        self.changes += 1
        return {}

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/list", self.show, self.change),
            PageRoute("/secret", self.show, recent_login=True),
            ApiRoute("POST", "/list", self.run, "Change the notes."),
            ApiRoute("POST", "/open", self.run, "Change the notes.", login=False),
        ]


class Directory:
    """A plugin that is asked who is an administrator, and does not answer when it is told so."""

    def __init__(self):
        self.fails = False

    @hookimpl
    def is_administrator(self, request, user):
        if self.fails:
            raise RuntimeError("the directory does not answer")
        return False


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def directory():
    return Directory()


@pytest.fixture
def web(open_site, notes, directory):
    return open_site({"notes": notes, "directory": directory}, administrators=[ADMIN])


@pytest.fixture
def ann(web):
    client = Client(web)
    client.post("/signup", email=ANN, password=PASSWORD)
    return client


@pytest.fixture
def admin(web):
    client = Client(web)
    client.post("/signup", email=ADMIN, password=PASSWORD)
    with web.host.request() as request:
        request.accounts.verify_email(web.host.users.get(ADMIN).id, ADMIN)
    return client


def go(client, email=ANN):
    user = client.web.host.users.get(email)
    response = client.post("/admin/user/impersonate", id=str(user.id), reason=REASON)
    assert response.status_code == 303, response.body.decode()
    return response


def who(client):
    _, body = client.api("/session", method="GET")
    return body["user"]["email"] if body.get("user") else None


def leads_to(response):
    assert response.status_code == 303, response.body.decode()
    return urlsplit(response.headers["Location"]).path


@pytest.fixture
def visitor(admin, ann):
    """The browser of the administrator, in the account of ann."""
    go(admin)
    return admin


def test_there_and_back(admin, ann):
    own = admin.cookies[SESSION]
    response = go(admin)
    assert admin.cookies[OWN] == own != admin.cookies[SESSION]
    for line in response.headers.getlist("Set-Cookie"):
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
    assert who(admin) == ANN
    assert leads_to(admin.post("/impersonation/stop")) == "/account/"
    assert admin.messages() == ["impersonation_stopped"]
    assert (who(admin), admin.cookies[SESSION]) == (ADMIN, own)
    assert OWN not in admin.cookies
    assert who(ann) == ANN


@pytest.mark.parametrize(
    "path", ["/", "/emails", "/sessions", "/password", "/close", "/notes/list", "/nowhere"]
)
def test_a_banner_with_a_button_is_on_every_page(visitor, path):
    text = visitor.get(path).body.decode()
    assert BANNER in text
    assert 'action="/account/impersonation/stop"' in text
    assert visitor.page(path)["impersonation"] == {"name": ANN, "stop": "/impersonation/stop"}


def test_the_banner_is_in_the_language_of_the_administrator(visitor):
    text = visitor.get("/", **{"Accept-Language": "de"}).body.decode()
    assert "Sie arbeiten im Konto von ann@example.org." in text
    assert "Zurück zum eigenen Konto" in text


def test_a_text_that_is_too_long_is_refused_as_always(open_site):
    client = Client(open_site(administrators=[ADMIN], web_given=("invitation",)))
    host = client.web.host
    for email in (ANN, ADMIN):
        client.api("/signup", {"email": email, "password": PASSWORD})
    host.users.verify_email(host.users.get(ADMIN).id, ADMIN, actor=ROOT)
    go(client)
    assert client.get("/?invitation=" + "x" * 5000).status_code == 400


def test_nobody_else_has_a_banner(admin, ann):
    for client in (admin, ann):
        assert "impersonation" not in client.get("/").body.decode()
        assert "impersonation" not in client.page("/")
        assert client.api("/session", method="GET")[1]["impersonation"] is None


def test_the_state_for_programs_says_until_when(visitor, clock):
    _, body = visitor.api("/session", method="GET")
    assert body["impersonation"]["stop"] == "/account/api/impersonation/stop"
    assert body["impersonation"]["expires_at"] > clock.now.isoformat()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/password/change", {"current_password": PASSWORD, "new_password": PASSWORD[::-1]}),
        ("/emails/add", {"email": "x@example.org"}),
        ("/sessions/end-others", {}),
        ("/reauthenticate", {"password": PASSWORD}),
        ("/close", {}),
        ("/login", {"identifier": ADMIN, "password": PASSWORD}),
        ("/notes/list", {}),
        ("/notes/open", {}),
    ],
)
def test_changes_are_refused_with_a_code(visitor, notes, path, values):
    status, body = visitor.api(path, values)
    assert (status, body["code"]) == (403, "impersonated")
    assert not notes.changes
    assert who(visitor) == ANN


def test_a_form_is_refused_with_a_text(visitor, notes):
    for path in ("/close", "/notes/secret"):
        response = visitor.get(path)
        assert response.status_code == 403
        assert (
            "This is not possible while you work in the account of somebody else." in response.body.decode()
        )
    response = visitor.post("/notes/list")
    assert (response.status_code, notes.changes) == (403, 0)
    assert BANNER in response.body.decode()


def test_after_an_hour_the_browser_is_back(visitor, clock):
    clock.forward(minutes=61)
    assert (
        visitor.post("/emails/add", email="x@example.org").status_code == 303
    )  # it was for the other account
    assert who(visitor) == ADMIN
    assert visitor.api("/emails", method="GET")[1]["emails"][0]["email"] == ADMIN
    assert OWN not in visitor.cookies


def test_stop_after_it_has_ended_returns(visitor, clock):
    clock.forward(minutes=61)
    assert leads_to(visitor.post("/impersonation/stop")) == "/account/"
    assert who(visitor) == ADMIN


def test_a_plugin_that_does_not_answer_leaves_the_browser_where_it_is(visitor, directory):
    cookies = {name: visitor.cookies[name] for name in (SESSION, OWN)}
    directory.fails = True
    assert who(visitor) is None
    assert leads_to(visitor.get("/")) == "/account/login"
    assert visitor.post("/emails/add", email="x@example.org").status_code == 303
    assert {name: visitor.cookies[name] for name in (SESSION, OWN)} == cookies
    directory.fails = False
    assert who(visitor) == ANN


@pytest.mark.parametrize("path", ["/impersonation/stop", "/logout"])
def test_stop_while_a_plugin_does_not_answer_ends_it(visitor, directory, web, path):
    thief = Client(web)
    thief.cookies[SESSION] = visitor.cookies[SESSION]
    directory.fails = True
    visitor.post(path)
    directory.fails = False
    assert who(visitor) == (ADMIN if path == "/impersonation/stop" else None)
    assert who(thief) is None


def test_a_refused_stop_keeps_the_way_back(visitor, monkeypatch):
    def end(*arguments):
        raise Conflict

    monkeypatch.setattr("authhost.account.impersonation.log_out_current_user", end)
    for path in ("/impersonation/stop", "/logout"):
        assert visitor.post(path).status_code == 409
    monkeypatch.undo()
    assert who(visitor) == ANN
    visitor.post("/impersonation/stop")
    assert who(visitor) == ADMIN


def test_stop_without_an_impersonation_changes_nothing(ann):
    assert leads_to(ann.post("/impersonation/stop")) == "/account/"
    assert who(ann) == ANN
    stranger = Client(ann.web)
    assert leads_to(stranger.post("/impersonation/stop")) == "/account/login"


def test_the_token_of_the_impersonation_does_not_lead_to_the_administrator(visitor, web):
    thief = Client(web)
    thief.cookies[SESSION] = visitor.cookies[SESSION]
    assert who(thief) == ANN
    assert leads_to(thief.post("/impersonation/stop")) == "/account/login"
    assert who(thief) is None


@pytest.mark.parametrize("expired", [False, True])
def test_a_logout_ends_both_sessions(visitor, clock, web, expired):
    own = Client(web)
    own.cookies[SESSION] = visitor.cookies[OWN]
    clock.forward(minutes=61 if expired else 1)
    visitor.post("/logout")
    assert not {SESSION, OWN} & set(visitor.cookies)
    assert who(visitor) is who(own) is None


def test_the_end_of_the_administrators_session_ends_it(visitor, web):
    own = Client(web)
    own.cookies[SESSION] = visitor.cookies[OWN]
    own.post("/logout")
    assert who(visitor) is None
    assert not {SESSION, OWN} & set(visitor.cookies)


def test_it_requires_a_recent_login(admin, ann, clock):
    clock.forward(days=1)
    user = admin.web.host.users.get(ANN)
    status, body = admin.api("/admin/user/impersonate", {"id": str(user.id), "reason": REASON})
    assert (status, body["code"]) == (401, "reauthentication_required")
    assert who(admin) == ADMIN


def test_a_user_is_refused(admin, ann):
    user = admin.web.host.users.get(ADMIN)
    status, body = ann.api("/admin/user/impersonate", {"id": str(user.id), "reason": REASON})
    assert (status, body["code"]) == (404, "not_found")
    assert OWN not in ann.cookies


def test_the_user_sees_it_in_the_list_and_ends_it(visitor, ann):
    rows = ann.page("/sessions")["sections"][0]["rows"]
    assert rows[0]["title"] == "An administrator of this site"
    assert not any("IP" in detail for detail in rows[0]["details"])
    ann.post("/sessions/end-others")
    assert who(visitor) == ADMIN


def test_administrators_see_it_in_the_list_of_the_user(visitor, web):
    other = Client(web)
    other.post("/login", identifier=ADMIN, password=PASSWORD)
    user = web.host.users.get(ANN)
    page = other.page(f"/admin/user?id={user.id}")
    (sessions,) = (each for each in page["sections"] if each["title"] == "Sessions")
    assert sessions["rows"][0]["title"] == "An administrator of this site"


@pytest.mark.parametrize("email", [ANN, ADMIN])
def test_the_deletion_of_either_account_ends_it(visitor, web, email):
    web.host.users.delete(web.host.users.get(email).id, actor=ROOT)
    assert who(visitor) == (ADMIN if email == ANN else None)
    assert OWN not in visitor.cookies


def test_a_reset_of_the_password_ends_it(visitor, web, mailbox):
    owner = Client(web)
    owner.post("/forgot-password", email=ANN)
    values = {"key": mailbox.messages[-1].key, "password": PASSWORD[::-1]}
    assert owner.api("/reset-password", values)[0] == 200
    assert who(visitor) == ADMIN


def link(web, email=ANN, reason=REASON):
    user = web.host.users.get(email)
    url = web.host.users.impersonation_link(user.id, actor=ROOT, reason=reason)
    assert url.startswith("https://example.org/account/impersonation/begin/")
    return urlsplit(url).path


@pytest.fixture
def operator(web):
    return Client(web)


def test_an_operator_goes_there_by_a_link(web, ann, operator):
    path = link(web)
    assert leads_to(operator.get(path)) == "/account/impersonation/begin"
    assert who(operator) is None
    assert operator.page("/impersonation/begin")["id"] == "impersonation"
    assert leads_to(operator.post("/impersonation/begin")) == "/account/"
    for shown in ("/", "/nowhere", "/admin"):
        assert BANNER in operator.get(shown).body.decode()
    assert leads_to(operator.post("/impersonation/stop")) == "/account/login"
    assert operator.messages("/login") == ["impersonation_stopped"]


def test_a_link_does_not_lead_back_to_the_session_of_an_earlier_impersonation(visitor, web, clock):
    clock.forward(minutes=61)
    assert visitor.api("/impersonation/begin", {"key": link(web).rpartition("/")[2]})[0] == 200
    clock.forward(minutes=61)
    assert who(visitor) is None
    assert not {SESSION, OWN} & set(visitor.cookies)


def test_a_link_works_once_and_for_five_minutes(web, ann, operator, clock):
    key = link(web).rpartition("/")[2]
    assert operator.api("/impersonation/begin", {"key": key})[0] == 200
    other = Client(web)
    for used in (key, "x" * 43, ""):
        assert other.api("/impersonation/begin", {"key": used})[1]["code"] == "invalid_key"
    key = link(web).rpartition("/")[2]
    clock.forward(minutes=6)
    assert other.api("/impersonation/begin", {"key": key})[1]["code"] == "invalid_key"
    other.get("/impersonation/begin/" + key)
    assert other.post("/impersonation/begin").status_code == 400
    assert other.page("/impersonation/begin")["id"] == "impersonation_nothing"


def test_a_link_logs_out_who_is_logged_in(web, ann, admin):
    own = Client(web)
    own.cookies[SESSION] = admin.cookies[SESSION]
    admin.get(link(web))
    admin.post("/impersonation/begin")
    assert who(admin) == ANN
    assert who(own) is None


def test_a_link_follows_the_rules_when_it_is_made_and_when_it_is_opened(web, ann, admin, operator):
    with pytest.raises(ImpersonationRefused):
        link(web, ADMIN)
    with pytest.raises(InvalidInput):
        link(web, reason="")
    user = web.host.users.get(ANN)
    with pytest.raises(InvalidInput):
        actor = Actor("user", web.host.users.get(ADMIN).id)
        web.host.users.impersonation_link(user.id, actor=actor, reason=REASON)
    key = link(web).rpartition("/")[2]
    web.host.users.deactivate(user.id, actor=ROOT)
    assert operator.api("/impersonation/begin", {"key": key})[1]["code"] == "account_inactive"
    assert who(operator) is None


def test_a_program_gets_a_token_and_keeps_its_own(web, admin, ann):
    program = Client(web)
    _, body = program.api("/login", {"identifier": ADMIN, "password": PASSWORD}, headers=APP)
    own = {"Authorization": f"Bearer {body['session_token']}"}
    user = web.host.users.get(ANN)
    _, body = program.api("/admin/user/impersonate", {"id": str(user.id), "reason": REASON}, headers=own)
    assert body["user"]["email"] == ANN
    visit = {"Authorization": f"Bearer {body['session_token']}"}
    assert program.api("/session", method="GET", headers=visit)[1]["user"]["email"] == ANN
    _, body = program.api("/impersonation/stop", headers=visit)
    assert body["authenticated"] is False
    assert program.api("/session", method="GET", headers=visit)[0] == 401
    assert program.api("/session", method="GET", headers=own)[1]["user"]["email"] == ADMIN
    assert not program.cookies
