"""Browsers in which a login needs no second factor for some days."""

from __future__ import annotations

import pytest
from authhost_mfa import tables

from authhost.testing import OTHER_PASSWORD, PASSWORD
from mfa.support import REAUTHENTICATE, TRUST_COOKIE, VERIFY, is_logged_in


def test_a_trusted_browser_is_not_asked(protected, clock):
    browser = protected.half()
    assert protected.verify(browser, trust=True)[0] == 200
    browser.api("/logout", {})
    assert not is_logged_in(browser)
    assert protected.log_in(browser)[0] == 200
    clock.forward(days=29)
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 200
    clock.forward(days=2)
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 202


def test_only_if_the_person_wants_it(protected):
    browser = protected.half()
    protected.verify(browser)
    assert TRUST_COOKIE not in browser.cookies
    assert protected.count(tables.trusted_browser_table) == 0


def test_trust_is_for_one_browser_and_one_account(protected):
    browser = protected.half()
    protected.verify(browser, trust=True)
    protected.half()
    mallory = protected.browser()
    protected.sign_up("mallory@example.org", browser=mallory)
    protected.enrol(mallory)
    mallory.api("/logout", {})
    mallory.cookies[TRUST_COOKIE] = browser.cookies[TRUST_COOKIE]
    assert protected.log_in(mallory, "mallory@example.org")[0] == 202


def test_a_planted_cookie_is_replaced(protected):
    browser = protected.half()
    browser.cookies[TRUST_COOKIE] = "planted"
    protected.verify(browser, trust=True)
    assert browser.cookies[TRUST_COOKIE] != "planted"
    thief = protected.half()
    thief.cookies[TRUST_COOKIE] = "planted"
    assert protected.log_in(thief)[0] == 202


@pytest.mark.parametrize("value", ["", "x", "x" * 65, "ä", "'; --"])
def test_other_cookies_trust_nothing(protected, value):
    browser = protected.browser()
    browser.cookies[TRUST_COOKIE] = value
    assert protected.log_in(browser)[0] == 202


def test_a_changed_password_ends_it(protected):
    browser = protected.half()
    protected.verify(browser, trust=True)
    values = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert browser.api("/password/change", values)[0] == 200
    assert protected.count(tables.trusted_browser_table) == 0
    browser.api("/logout", {})
    assert protected.log_in(browser, password=OTHER_PASSWORD)[0] == 202


def test_the_fingerprint_alone_ends_it_with_the_password(protected, monkeypatch):
    """Also if the plugin was not loaded while the password changed."""
    browser = protected.half()
    protected.verify(browser, trust=True)
    monkeypatch.setattr("authhost_mfa.trusted_browsers.end_trust", lambda *args: None)
    values = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    browser.api("/password/change", values)
    assert protected.count(tables.trusted_browser_table) == 1
    browser.api("/logout", {})
    assert protected.log_in(browser, password=OTHER_PASSWORD)[0] == 202


def test_new_authenticators_end_it(protected):
    browser = protected.half()
    protected.verify(browser, trust=True)
    listed = browser.api("/mfa/authenticators", method="GET")[1]["authenticators"]
    assert browser.api("/mfa/authenticators/remove", {"authenticator_id": listed[0]["id"]})[0] == 200
    protected.enrol(browser)
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 202


def test_also_with_a_passkey_that_the_user_has_not_made_a_second_factor(site, make_site, phone):
    site.sign_up()
    site.add_key(phone)
    url = site.host.settings.database_url
    site = make_site(policy="required", settings={"database_url": url})
    browser = site.half()
    assert site.use_key(browser, phone, trust=True)[0] == 200
    browser.api("/logout", {})
    assert site.log_in(browser)[0] == 200
    assert site.use_key(browser, phone, REAUTHENTICATE)[0] == 200
    browser.api("/password/change", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD})
    browser.api("/logout", {})
    assert site.log_in(browser, password=OTHER_PASSWORD)[0] == 202


def test_they_are_offered_too_if_the_policy_asks_for_a_passkey(make_site, phone, clock):
    """Its user has not made it a second factor, but the policy requires one."""
    site = make_site(policy="required", grace_days=1)
    site.sign_up()
    site.add_key(phone)
    assert "Trusted browsers" not in titles(site.ann)
    assert site.ann.page("/")["sections"][-1]["text"][0].startswith("This site requires a second factor from")
    clock.forward(days=2)
    browser = site.half()
    assert site.use_key(browser, phone, trust=True)[0] == 200
    assert "Trusted browsers" in titles(browser)
    assert browser.page("/")["sections"][-1]["text"] == ["Each login asks for a second factor."]


def titles(browser):
    return [each["title"] for each in browser.page("/mfa/authenticators")["sections"]]


def test_it_can_be_switched_off(make_site):
    site = make_site(trust_days=0)
    site.sign_up()
    site.enrol()
    browser = site.half()
    assert [len(form["fields"]) for form in browser.page(VERIFY)["forms"]] == [1, 1]
    site.verify(browser, trust=True)
    assert TRUST_COOKIE not in browser.cookies


def test_switching_it_off_ends_the_trust(protected, make_site):
    browser = protected.half()
    protected.verify(browser, trust=True)
    without = make_site(trust_days=0, settings={"database_url": protected.host.settings.database_url})
    other = without.browser()
    other.cookies[TRUST_COOKIE] = browser.cookies[TRUST_COOKIE]
    assert without.log_in(other)[0] == 202


def test_they_are_listed_and_revoked(protected):
    browser = protected.half(**{"User-Agent": "Teapot/1"})
    protected.verify(browser, trust=True)
    listed = browser.api("/mfa/trusted-browsers", method="GET")[1]["trusted_browsers"]
    assert [(each["user_agent"], each["is_this"]) for each in listed] == [("Teapot/1", True)]
    page = browser.page("/mfa/trusted-browsers")["sections"][0]
    assert page["rows"][0]["labels"] == ["This browser"]
    assert browser.api("/mfa/trusted-browsers/revoke", {"browser_id": "x"})[0] == 403
    assert browser.api("/mfa/trusted-browsers/revoke", {"browser_id": listed[0]["id"]})[0] == 200
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 202


def test_all_are_revoked_at_once(protected):
    for _ in range(2):
        protected.verify(protected.half(), trust=True)
    assert protected.ann.post("/mfa/trusted-browsers").status_code == 303
    assert protected.count(tables.trusted_browser_table) == 0


def test_expired_trust_is_deleted_with_the_next(protected, clock):
    protected.verify(protected.half(), trust=True)
    clock.forward(days=31)
    protected.verify(protected.half(), trust=True)
    assert protected.count(tables.trusted_browser_table) == 1
