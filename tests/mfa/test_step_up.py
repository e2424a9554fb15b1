"""Sensitive changes of the account need a recent second factor (ASVS 5.0, 7.5.1 and 7.5.3)."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Change, hookimpl
from authhost_mfa.access import check_change

from authhost.testing import PASSWORD
from mfa.support import ANN, REAUTHENTICATE, SESSION, is_logged_in, refused

NEW_PASSWORD = "seven quiet lanterns drift by"
OTHER = "other@example.org"
PASSWORDS = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
CHANGES = {
    "add_email": ("/emails/add", {"email": "new@example.org"}),
    "make_primary": ("/emails/primary", {"email": OTHER}),
    "remove_email": ("/emails/remove", {"email": OTHER}),
    "change_password": ("/password/change", PASSWORDS),
    "deactivate": ("/close", {}),
}


def add_address(site, browser, email=OTHER):
    assert browser.api("/emails/add", {"email": email})[0] == 200
    assert browser.api("/confirm-email", {"key": site.recorder.key()})[0] == 200


@pytest.fixture
def trusted(protected):
    """A browser of ann that was trusted in an earlier login, so that this one has asked for no factor."""
    add_address(protected, protected.ann)
    browser = protected.half()
    assert protected.verify(browser, trust=True)[0] == 200
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 200
    return browser


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_in_a_trusted_browser_needs_a_factor(protected, trusted, kind):
    path, values = CHANGES[kind]
    status, body = trusted.api(path, values)
    assert (status, body["plugin_code"]) == (403, "second_factor_required")
    assert body["next"] == [{"step": "mfa.second_factor_required", "path": "/account/api/mfa/reauthenticate"}]
    assert trusted.api(REAUTHENTICATE, {"code": protected.app.next_code()})[0] == 200
    assert trusted.api(path, values)[0] == 200


@pytest.mark.parametrize("kind", CHANGES)
def test_a_login_with_a_factor_is_recent(protected, kind):
    add_address(protected, protected.ann)
    browser = protected.half()
    protected.verify(browser)
    path, values = CHANGES[kind]
    assert browser.api(path, values)[0] == 200


def test_the_factor_is_recent_for_some_time(protected, clock):
    clock.forward(seconds=901)
    assert protected.ann.api("/reauthenticate", {"password": PASSWORD})[0] == 200
    assert refused(protected.ann.api(*CHANGES["add_email"])) == (403, "second_factor_required")


def test_a_passkey_that_has_verified_its_user_is_recent(protected, phone):
    protected.add_key(phone)
    browser = protected.browser()
    assert protected.use_key(browser, phone, "/mfa/passkey")[0] == 200
    assert browser.api(*CHANGES["change_password"])[0] == 200


def test_a_passkey_for_comfort_is_not_asked_for(site, phone):
    site.sign_up()
    site.add_key(phone)
    browser = site.browser()
    assert site.log_in(browser)[0] == 200
    assert browser.api(*CHANGES["change_password"])[0] == 200


def test_a_passkey_is_asked_for_if_the_policy_requires_a_factor(make_site, phone, clock):
    site = make_site(policy="required", grace_days=1)
    site.sign_up()
    site.add_key(phone)
    clock.forward(days=2)
    browser = site.browser()
    assert site.log_in(browser)[0] == 202
    assert site.use_key(browser, phone, trust=True)[0] == 200
    browser.api("/logout", {})
    assert site.log_in(browser)[0] == 200
    assert refused(browser.api(*CHANGES["change_password"])) == (403, "second_factor_required")


def test_an_account_without_a_factor_is_not_concerned(site):
    site.sign_up()
    browser = site.browser()
    site.log_in(browser)
    assert browser.api(*CHANGES["change_password"])[0] == 200


@pytest.mark.parametrize("mfa", [{"step_up": False}, {"policy": "off"}])
def test_it_can_be_switched_off(make_site, clock, mfa):
    site = make_site(**mfa)
    site.sign_up()
    site.enrol()
    clock.forward(seconds=901)
    site.ann.api("/reauthenticate", {"password": PASSWORD})
    assert site.ann.api(*CHANGES["change_password"])[0] == 200


def test_a_reset_by_mail_is_not_concerned(protected, trusted):
    """Also in a browser that is logged in. The login after it asks for the factor."""
    trusted.api("/forgot-password", {"email": ANN})
    status, _ = trusted.api("/reset-password", {"key": protected.recorder.key(), "password": NEW_PASSWORD})
    assert status in (200, 202)
    assert not is_logged_in(trusted)
    assert protected.log_in(protected.browser(), password=NEW_PASSWORD)[0] == 202


@pytest.mark.parametrize("change_email", [True, False])
def test_the_confirmation_of_an_address_is_not_concerned(make_site, clock, change_email):
    """In change-email mode it makes the address the primary one."""
    site = make_site(settings={"change_email": change_email})
    site.sign_up()
    site.enrol()
    assert site.ann.api("/emails/add", {"email": OTHER})[0] == 200
    clock.forward(seconds=901)
    assert site.ann.api("/confirm-email", {"key": site.recorder.key()})[0] == 200
    assert refused(site.ann.api("/emails/add", {"email": "third@example.org"}))[0] in (401, 403)


def test_changes_by_administrators_and_plugins_are_not_concerned(make_site, clock):
    class Directory:
        @hookimpl
        def user_logged_out(self, request, user):
            request.accounts.add_email(user.id, "directory@example.org", verified=True)

    site = make_site(plugins={"directory": Directory()})
    site.sign_up()
    site.enrol()
    clock.forward(seconds=901)
    with site.host.request() as request:
        user = request.user_by_email(ANN)
        request.accounts.add_email(user.id, OTHER, verified=True)
    site.ann.api("/logout", {})
    with site.host.request() as request:
        assert request.user_by_email(OTHER).id == request.user_by_email("directory@example.org").id == user.id


def test_it_costs_most_accounts_no_query(site):
    site.sign_up()
    with site.host.request(session_token=site.ann.cookies[SESSION]) as request:
        user = request.user
        assert user is not None
        with site.statements() as seen:
            check_change(request, user, Change("change_password"))
    assert seen == []


# In a browser.


def test_a_browser_is_led_to_the_factor_and_back(protected, trusted):
    response = trusted.post("/password/change", **PASSWORDS)
    assert response.status_code == 303
    assert response.headers["Location"] == "/account/mfa/reauthenticate?next=%2Faccount%2Fpassword"
    page = trusted.get("/mfa/reauthenticate?next=/account/password")
    text = page.body.decode()
    assert "Confirm with your second factor first." in text
    response = trusted.post("/mfa/reauthenticate?next=/account/password", code="000000")
    assert response.status_code == 403
    assert "next=%2Faccount%2Fpassword" in response.body.decode()
    response = trusted.post("/mfa/reauthenticate?next=/account/password", code=protected.app.next_code())
    assert response.headers["Location"] == "/account/password"
    assert trusted.post("/password/change", **PASSWORDS).headers["Location"] != "/account/password"


def test_changes_of_authenticators_lead_there_too(protected, trusted):
    location = trusted.post("/mfa/recovery-codes").headers["Location"]
    assert location == "/account/mfa/reauthenticate?next=%2Faccount%2Fmfa%2Frecovery-codes"


def test_nobody_is_led_to_another_site(protected, trusted):
    code = protected.app.next_code()
    location = trusted.post("/mfa/reauthenticate?next=https://evil.example/", code=code).headers["Location"]
    assert "evil" not in location
