"""Administrators use their second factor, and remove those of others."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Actor, hookimpl
from authhost_mfa.plugin import MfaPlugin
from web.office import ADMIN, ANN, SETTINGS, Office, section

from authhost.testing import PASSWORD, TotpApp
from authhost.testing.web_client import WebClient

TOTP, REMOVE, TITLE = "/mfa/totp", "/admin/user/remove-factors", "Two-step verification"


class Resets:
    """Records who has reset whose factors."""

    def __init__(self):
        self.seen = []

    @hookimpl
    def factors_removed(self, request, user, reason):
        self.seen.append((user.email, reason, request.actor))


@pytest.fixture
def resets():
    return Resets()


@pytest.fixture
def office(make_host, resets):
    return Office(make_host({"mfa": MfaPlugin(), "resets": resets}, **SETTINGS))


def enrol(office, client):
    """Add an authenticator app."""
    setup = client.api(TOTP, method="GET")[1]
    app = TotpApp(setup["uri"], office.host.clock)
    assert client.api(TOTP, {"setup": setup["setup"], "code": app.code()})[0] == 200
    return app


def test_an_administrator_without_a_second_factor_needs_none(office):
    assert office.browser.get("/admin").status_code == 200


@pytest.mark.parametrize("step_up", [True, False])
def test_an_administrator_with_a_second_factor_has_used_it_lately(make_host, clock, step_up):
    host = make_host(
        {"mfa": MfaPlugin()}, plugin_settings={"mfa": {"step_up": step_up, "recent_factor": 300}}, **SETTINGS
    )
    office = Office(host)
    app = enrol(office, office.browser)
    assert office.browser.get("/admin").status_code == 200
    clock.forward(seconds=301)
    response = office.browser.get("/admin?show=active")
    wanted = "/account/mfa/reauthenticate?next=%2Faccount%2Fadmin%3Fshow%3Dactive"
    assert response.headers["Location"] == wanted
    status, problem = office.browser.api("/admin", method="GET")
    assert (status, problem["plugin_code"]) == (403, "second_factor_required")
    assert problem["next"] == [
        {"step": "mfa.second_factor_required", "path": "/account/api/mfa/reauthenticate"}
    ]
    response = office.browser.post(wanted, code=app.code())
    assert response.headers["Location"] == "/account/admin?show=active"
    assert office.browser.get("/admin?show=active").status_code == 200


def test_a_login_with_the_password_only_is_not_enough(office):
    enrol(office, office.browser)
    client = WebClient(office.web)
    client.post("/login", identifier=ADMIN, password=PASSWORD)
    response = client.get("/admin")
    assert response.headers["Location"].startswith("/account/login")


def test_a_form_leads_over_the_second_factor_back_to_the_user(office, clock):
    ann, _ = office.sign_up(ANN)
    enrol(office, office.browser)
    clock.forward(seconds=901)
    office.browser.api("/reauthenticate", {"password": PASSWORD})
    response = office.browser.post(f"/admin/user/deactivate?id={ann.id}", id=str(ann.id))
    assert response.headers["Location"].startswith("/account/mfa/reauthenticate?next=")
    assert response.headers["Location"].endswith(f"%2Fadmin%2Fuser%3Fid%3D{ann.id}")
    assert office.host.users.get(ANN).is_active


def test_others_with_a_second_factor_learn_nothing(office, clock):
    _, client = office.sign_up(ANN)
    enrol(office, client)
    clock.forward(seconds=1000)
    assert client.get("/admin").body == client.get("/nothing").body


def test_the_section_shows_the_factors(office):
    ann, client = office.sign_up(ANN)
    assert section(office.page(ann), TITLE)["text"] == ["The user has no second factor."]
    enrol(office, client)
    shown = section(office.page(ann), TITLE)
    assert shown["text"] == ["Recovery codes left: 10", "Trusted browsers: 0"]
    (row,) = shown["rows"]
    assert (row["title"], row["labels"]) == ("Authenticator app", ["Asked for at every login"])
    (form,) = section(office.page(ann), "Second factor")["forms"]
    assert (form["action"], form["danger"]) == (f"{REMOVE}?id={ann.id}", True)


def test_a_reset(office, resets):
    ann, client = office.sign_up(ANN)
    enrol(office, client)
    response = office.browser.post(f"{REMOVE}?id={ann.id}", id=str(ann.id), reason="Lost phone.")
    assert response.headers["Location"] == f"/account/admin/user?id={ann.id}"
    assert section(office.page(ann), TITLE)["rows"] == []
    assert resets.seen == [(ANN, "Lost phone.", Actor("user", office.admin.id))]
    assert WebClient(office.web).api("/login", {"identifier": ANN, "password": PASSWORD})[0] == 200


def test_a_reset_needs_a_reason_and_an_administrator(office):
    ann, client = office.sign_up(ANN)
    enrol(office, client)
    status, page = office.refused(REMOVE, ann, reason="")
    (form,) = section(page, "Second factor")["forms"]
    assert (status, bool(form["fields"][-1]["error"])) == (400, True)
    assert client.post(REMOVE, id=str(ann.id), reason="x").status_code == 404
    assert client.api(REMOVE, {"id": str(ann.id), "reason": "x"})[0] == 404
    assert WebClient(office.web).api(REMOVE, {"id": str(ann.id), "reason": "x"})[0] == 401
    assert len(section(office.page(ann), TITLE)["rows"]) == 1
    assert office.browser.api(REMOVE, {"id": str(ann.id), "reason": "x"})[0] == 200
