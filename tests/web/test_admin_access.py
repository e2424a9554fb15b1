"""Who sees the pages of administrators: nobody else learns whether somebody may."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import Refused, hookimpl

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient
from authhost.web import Web

from .office import ADMIN, ANN, OPERATOR, SETTINGS, Office

PAGES = ("/admin", "/admin/create", "/admin/user", "/admin/delete")
COOKIES = {"Set-Cookie", "Date"}


@pytest.fixture
def office(make_host):
    return Office(make_host(**SETTINGS))


def answer(response):
    """What somebody can see of a response."""
    headers = {name: value for name, value in response.headers if name not in COOKIES}
    return response.status_code, headers, response.body


def actions(web):
    return [path for path in web.context.fields if path.startswith("/admin")]


class TestVisitors:
    @pytest.mark.parametrize("path", PAGES)
    def test_they_log_in_first_and_come_back(self, office, path):
        client = WebClient(office.web)
        response = client.get(f"{path}?id=x")
        wanted = path.replace("/", "%2F")
        assert response.headers["Location"] == f"/account/login?next=%2Faccount{wanted}%3Fid%3Dx"
        response = client.post(
            "/login", identifier=ADMIN, password=PASSWORD, next=f"/account{path}?id={office.admin.id}"
        )
        assert client.get(response.headers["Location"]).status_code == 200

    def test_they_change_nothing(self, office):
        client, (ann, _) = WebClient(office.web), office.sign_up(ANN)
        for path in actions(office.web):
            response = client.post(path, id=str(ann.id), confirm=ANN, email="x@example.org")
            assert response.headers["Location"].startswith("/account/login"), path
            status, problem = client.api(path, {"id": str(ann.id)})
            assert (status, problem["code"]) == (401, "login_required"), path
        assert office.host.users.get(ANN).is_active


class TestUsers:
    """Their responses are those of pages that do not exist."""

    @pytest.fixture
    def client(self, office):
        return office.sign_up(ANN)[1]

    def test_pages(self, office, client):
        nothing = answer(client.get("/nothing"))
        assert nothing[0] == 404
        for path in PAGES:
            assert answer(client.get(path)) == nothing
            assert answer(client.get(f"{path}?id={office.admin.id}&before=x")) == nothing

    def test_forms(self, office, client):
        nothing = answer(client.post("/nothing"))
        for path in actions(office.web):
            assert answer(client.post(path)) == nothing, path
            assert answer(client.post(path, id=str(office.admin.id), confirm=ADMIN)) == nothing, path
        assert office.host.users.get(ADMIN).is_active

    def test_json(self, office, client):
        nothing = client.api("/nothing")
        for path in actions(office.web):
            for values in ({}, {"id": str(office.admin.id)}, {"id": 1}):
                assert client.api(path, values) == nothing, path
        for path in ("/admin?before=x", "/admin/user", f"/admin/user?id={office.admin.id}"):
            assert client.api(path, method="GET") == client.api("/nothing", method="GET"), path

    def test_they_have_no_link_to_it(self, office, client):
        def shown(client):
            return "/admin" in [each["target"] for each in client.page("/")["links"]]

        assert (shown(client), shown(office.browser)) == (False, True)


def test_an_administrator_after_a_while_confirms_the_password(office, clock):
    clock.forward(seconds=office.host.settings.administration_timeout + 1)
    response = office.browser.get("/admin?show=active")
    wanted = "/account/reauthenticate?next=%2Faccount%2Fadmin%3Fshow%3Dactive"
    assert response.headers["Location"] == wanted
    status, problem = office.browser.api("/admin", method="GET")
    assert (status, problem["code"]) == (401, "reauthentication_required")
    response = office.browser.post("/reauthenticate", password=PASSWORD, next="/account/admin?show=active")
    assert office.browser.get(response.headers["Location"]).status_code == 200


def test_a_form_that_needs_a_recent_login_leads_back_to_the_page_of_the_user(office, clock):
    ann, _ = office.sign_up(ANN)
    clock.forward(seconds=office.host.settings.administration_timeout + 1)
    response = office.browser.post(f"/admin/user/deactivate?id={ann.id}", id=str(ann.id))
    wanted = f"/account/reauthenticate?next=%2Faccount%2Fadmin%2Fuser%3Fid%3D{ann.id}"
    assert response.headers["Location"] == wanted
    assert office.host.users.get(ANN).is_active


def test_a_longer_time_can_be_allowed(make_host, clock):
    office = Office(make_host(**SETTINGS, administration_timeout=3600))
    clock.forward(seconds=3599)
    assert office.browser.get("/admin").status_code == 200


def test_an_address_that_is_not_verified_makes_no_administrator(make_host):
    office = Office(make_host(**{**SETTINGS, "administrators": [ANN]}))
    ann, client = office.sign_up(ANN, verified=False)
    assert client.get("/admin").status_code == 404
    office.host.users.verify_email(ann.id, ANN, actor=OPERATOR)
    assert client.get("/admin").status_code == 200
    assert office.browser.get("/admin").status_code == 404


class Staff:
    """Names administrators, and fails for one user."""

    @hookimpl
    def is_administrator(self, request, user):
        if user.email == ADMIN:
            raise RuntimeError
        return user.email == ANN


def test_a_plugin_names_administrators_and_one_that_fails_lets_nobody_in(make_host):
    office = Office(make_host({"staff": Staff()}, **{**SETTINGS, "administrators": []}))
    assert office.sign_up(ANN)[1].get("/admin").status_code == 200
    assert office.browser.get("/admin").status_code == 404
    assert office.browser.get("/").status_code == 200


class Desk:
    """Asks for something before the pages of administrators."""

    @hookimpl
    def before_change(self, user, change):
        if change.kind == "administer":
            raise Refused("ask_first", f"Ask first, {user.email}.")


def test_a_plugin_can_refuse_an_administrator(make_host):
    office = Office(make_host({"desk": Desk()}, **SETTINGS))
    response = office.browser.get("/admin")
    assert (response.status_code, b"Ask first, admin@example.org." in response.body) == (403, True)
    status, problem = office.browser.api("/admin", method="GET")
    assert (status, problem["plugin_code"]) == (403, "ask_first")


class Guard:
    """Guards the account of the administrator at each login."""

    @hookimpl
    def login_steps(self, request, user):
        return []

    @hookimpl
    def email_confirmed(self, request, email_address):
        request.logins.guard("guard", email_address.user_id)


def test_no_administrator_gets_in_while_the_plugin_that_guards_the_account_is_missing(make_host):
    office = Office(make_host({"guard": Guard()}, **SETTINGS))
    assert office.browser.get("/admin").status_code == 200
    client = WebClient(Web(make_host(**SETTINGS)))
    client.cookies = dict(office.browser.cookies)
    status, problem = client.api("/admin", method="GET")
    assert (status, problem["code"]) == (503, "login_unavailable")


def test_programs_use_a_token(office):
    app = WebClient(office.web)
    headers = {"Authhost-Client": "app"}
    token = app.api("/login", {"identifier": ADMIN, "password": PASSWORD}, headers=headers)[1][
        "session_token"
    ]
    bearer = {"Authorization": f"Bearer {token}", "Origin": None, "Sec-Fetch-Site": None}
    assert app.api("/admin", method="GET", headers=bearer)[0] == 200


def test_a_form_of_another_site_is_refused(office):
    ann, _ = office.sign_up(ANN)
    other = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for path in actions(office.web):
        response = office.browser.post(path, other, id=str(ann.id), confirm=ANN)
        assert response.status_code == 403, path
        response = office.browser.send(
            "POST",
            f"/account/api{path}",
            body=json.dumps({"id": str(ann.id), "confirm": ANN}).encode(),
            headers={**other, "Content-Type": "application/json"},
        )
        assert response.status_code == 403, path
    assert office.host.users.get(ANN).is_active
