"""Adding and removing authenticators, and who may."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from authhost_mfa import tables
from authhost_mfa.settings import MfaSettings
from sqlalchemy import select

from authhost.testing import PASSWORD, TotpApp
from mfa.support import ANN, TOTP, VERIFY, is_logged_in, refused

OVERVIEW = "/mfa/authenticators"


def begin(site, browser=None):
    status, setup = (browser or site.ann).api(TOTP, method="GET")
    assert status == 200, setup
    return setup, TotpApp(setup["uri"], site.host.clock)


def authenticator(browser):
    return browser.api(OVERVIEW, method="GET")[1]["authenticators"][0]


def test_showing_the_page_writes_nothing(site):
    site.sign_up()
    with site.statements() as seen:
        page = site.ann.page(TOTP)
    assert not [each for each in seen if each.split()[0] not in ("SELECT", "PRAGMA")]
    assert page["image"]["svg"].startswith("<svg")
    assert [field["type"] for field in page["forms"][0]["fields"]] == ["hidden", "code"]


def test_the_form(site):
    site.sign_up()
    page = site.ann.page(TOTP)
    setup = page["forms"][0]["fields"][0]["value"]
    key = page["text"][1].partition(": ")[2]
    app = TotpApp(key, site.host.clock)
    response = site.ann.post(TOTP, setup=setup, code="000000")
    assert response.status_code == 403
    assert "form-1-code-error" in response.body.decode()
    # The page with the refusal has the same secret, so that nobody must scan again.
    assert key in response.body.decode()
    response = site.ann.post(TOTP, headers={"Accept": "application/json"}, setup=setup, code=app.code())
    assert response.status_code == 200
    assert b"mfa_new_recovery_codes" in response.body
    assert site.ann.page(OVERVIEW)["sections"][0]["rows"][0]["title"] == "Authenticator app"


def test_the_secret_is_stored_encrypted(protected):
    with protected.host.reader.connect() as connection:
        row = connection.execute(select(tables.authenticator_table)).one()
    text = repr(row)
    assert protected.app.secret.hex() not in text
    assert row.secret not in (None, "")
    with protected.host.request() as request, pytest.raises(Exception, match=r"purpose|key"):
        request.open(row.secret, "mfa totp another row")


def test_the_secret_of_a_form_is_bound_to_its_session_and_expires(site, clock):
    site.sign_up()
    setup, app = begin(site)
    bob = site.browser()
    site.sign_up("bob@example.org", browser=bob)
    values = {"setup": setup["setup"], "code": app.code()}
    assert refused(bob.api(TOTP, values)) == (403, "setup_expired")
    other = site.browser()
    site.log_in(other)
    assert refused(other.api(TOTP, values)) == (403, "setup_expired")
    assert refused(site.ann.api(TOTP, {**values, "setup": "x"})) == (403, "setup_expired")
    clock.forward(minutes=11)
    site.ann.api("/reauthenticate", {"password": PASSWORD})
    assert refused(site.ann.api(TOTP, {**values, "code": app.code()})) == (403, "setup_expired")
    assert site.count(tables.authenticator_table) == 0


def test_it_requires_a_recent_login(site, clock):
    site.sign_up()
    clock.forward(minutes=6)
    assert refused(site.ann.api(TOTP, method="GET")) == (401, "reauthentication_required")
    assert site.ann.get(OVERVIEW).headers["Location"].startswith("/account/reauthenticate")


def test_the_refusal_lists_each_way_to_reauthenticate(protected, clock):
    clock.forward(minutes=6)
    steps = protected.ann.api(TOTP, method="GET")[1]["next"]
    assert [each["step"] for each in steps] == ["reauthenticate", "mfa.reauthenticate"]
    assert (
        protected.ann.api(steps[1]["path"].removeprefix("/account/api"), {"code": protected.app.code()})[0]
        == 200
    )
    assert protected.ann.api(TOTP, method="GET")[0] == 200


def test_it_requires_a_verified_address(site):
    """Otherwise somebody could sign up with the address of another person, and lock that person out."""
    site.sign_up(verify=False)
    assert refused(site.ann.api(TOTP, method="GET")) == (403, "email_not_verified")
    assert site.ann.get(TOTP).status_code == 403


def test_a_verified_second_address_is_not_enough(site):
    """The owner of the primary address recovers the account by confirming it: no factor may stay."""
    site.sign_up(verify=False)
    user_id = UUID(site.ann.api("/session", method="GET")[1]["user"]["id"])
    with site.host.request() as request:
        request.accounts.add_email(user_id, "mallory@example.org", verified=True)
    assert refused(site.ann.api(TOTP, method="GET")) == (403, "email_not_verified")


def test_it_never_requires_a_password_that_the_user_does_not_have(make_site, openid_provider):
    """better-auth #1279."""
    from authhost.testing import Browser
    from mfa.support import SESSION

    site = make_site(settings={"providers": openid_provider.settings})
    browser = Browser(site.host, openid_provider)
    browser.social(sub="ann", email=ANN, email_verified=True)
    site.ann.cookies[SESSION] = browser.token
    assert len(site.enrol()) == 10


def test_an_account_has_one_app(protected):
    values, app = begin(protected)
    status, body = protected.ann.api(TOTP, {"setup": values["setup"], "code": app.code()})
    assert (status, body["plugin_code"]) == (403, "already_added")
    assert protected.count(tables.authenticator_table) == 1


def test_an_app_can_be_replaced(protected):
    former = authenticator(protected.ann)["id"]
    values, app = begin(protected)
    replaced = {"setup": values["setup"], "code": app.code(), "replaces": former}
    assert protected.ann.api(TOTP, {**replaced, "code": "000000"})[1]["plugin_code"] == "wrong_code"
    status, body = protected.ann.api(TOTP, replaced)
    assert (status, body["recovery_codes"]) == (200, []), "the former codes stay"
    assert protected.count(tables.recovery_code_table) == 10
    assert refused(protected.ann.api(TOTP, replaced)) == (403, "not_found")
    assert authenticator(protected.ann)["id"] != former
    browser = protected.half()
    assert protected.verify(browser)[1]["plugin_code"] == "wrong_code"
    protected.app = app
    assert protected.verify(browser)[0] == 200


def test_the_form_replaces_an_app(protected):
    former = authenticator(protected.ann)["id"]
    page = protected.ann.page(TOTP)
    hidden = {each["name"]: each["value"] for each in page["forms"][0]["fields"] if each["type"] == "hidden"}
    assert hidden["replaces"] == former
    app = TotpApp(page["text"][2].partition(": ")[2], protected.host.clock)
    assert protected.ann.post(TOTP, **hidden, code=app.code()).status_code == 303
    assert authenticator(protected.ann)["id"] != former


def test_an_app_does_not_replace_a_key(protected, virtual_authenticator):
    protected.add_key(virtual_authenticator)
    found = protected.ann.api(OVERVIEW, method="GET")[1]["authenticators"]
    (key,) = (each["id"] for each in found if each["kind"] == "webauthn")
    values, app = begin(protected)
    replaced = {"setup": values["setup"], "code": app.code(), "replaces": key}
    assert refused(protected.ann.api(TOTP, replaced)) == (403, "not_found")
    assert protected.count(tables.authenticator_table) == 2


def test_removal_needs_the_second_factor(protected):
    """A session of which only the password is known must not remove the factors."""
    browser = protected.half()
    protected.verify(browser, trust=True)
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 200
    values = {"authenticator_id": authenticator(browser)["id"]}
    assert browser.api(OVERVIEW, method="GET")[1]["second_factor_needed"] is True
    assert refused(browser.api(f"{OVERVIEW}/remove", values)) == (403, "second_factor_required")
    assert refused(browser.api("/mfa/recovery-codes", {})) == (403, "second_factor_required")
    page = browser.page(OVERVIEW)
    assert page["links"][0]["target"] == "/mfa/reauthenticate"
    assert page["sections"][0]["rows"][0]["forms"] == []
    code = protected.app.next_code()
    assert browser.api("/mfa/reauthenticate", {"code": code})[0] == 200
    assert browser.api(f"{OVERVIEW}/remove", values)[0] == 200


def test_a_use_long_ago_is_not_enough(protected, clock):
    browser = protected.half()
    protected.verify(browser)
    clock.forward(minutes=16)
    browser.api("/reauthenticate", {"password": PASSWORD})
    values = {"authenticator_id": authenticator(browser)["id"]}
    assert refused(browser.api(f"{OVERVIEW}/remove", values)) == (403, "second_factor_required")


def test_after_the_removal_the_login_is_as_before(protected):
    browser = protected.half()
    protected.verify(browser)
    response = browser.post(OVERVIEW, authenticator_id=authenticator(browser)["id"])
    assert response.headers["Location"] == f"/account{OVERVIEW}"
    for table in (tables.authenticator_table, tables.recovery_code_table):
        assert protected.count(table) == 0
    assert protected.log_in(protected.browser())[0] == 200


def test_nobody_removes_the_authenticator_of_another_user(protected):
    mallory = protected.browser()
    protected.sign_up("mallory@example.org", browser=mallory)
    values = {"authenticator_id": authenticator(protected.ann)["id"]}
    assert refused(mallory.api(f"{OVERVIEW}/remove", values)) == (403, "not_found")
    assert refused(mallory.api(f"{OVERVIEW}/remove", {"authenticator_id": "x"})) == (403, "not_found")
    assert protected.count(tables.authenticator_table) == 1


def test_reauthentication_with_the_app(protected, clock):
    browser = protected.half()
    protected.verify(browser)
    clock.forward(minutes=6)
    assert browser.api("/mfa/recovery-codes", {})[0] == 401
    token = browser.cookies["__Host-authhost-session"]
    page = browser.page("/mfa/reauthenticate")
    assert [form["title"] for form in page["forms"]] == ["Authenticator app", "Recovery code"]
    assert browser.post("/mfa/reauthenticate", code="000000").status_code == 403
    assert browser.post("/mfa/reauthenticate", code=protected.app.next_code()).status_code == 303
    assert browser.cookies["__Host-authhost-session"] != token
    assert browser.api("/mfa/recovery-codes", {})[0] == 200
    assert browser.api("/mfa/reauthenticate", {"code": protected.app.code()})[0] == 403


def required(before, make_site):
    """Return the same site after the operator has changed the policy."""
    site = make_site(policy="required", settings={"database_url": before.host.settings.database_url})
    site.app = getattr(before, "app", None)
    return site


class TestRequired:
    def test_enrolment_is_a_step_of_the_login(self, make_site, recorder):
        site = make_site(policy="required")
        site.sign_up()
        recorder.clear()
        browser = site.browser()
        status, body = site.log_in(browser)
        step = body["next"][0]
        assert (status, step["step"], step["methods"]) == (202, "mfa.enrol", ["totp", "webauthn"])
        assert not is_logged_in(browser)
        status, setup = browser.api("/mfa/enrol", method="GET")
        app = TotpApp(setup["uri"], site.host.clock)
        assert browser.api("/mfa/enrol", {"setup": setup["setup"], "code": "000000"})[0] == 403
        assert "user_logged_in" not in recorder.names
        assert site.count(tables.authenticator_table) == 0
        status, body = browser.api("/mfa/enrol", {"setup": setup["setup"], "code": app.code()})
        assert (status, body["authenticated"], len(body["recovery_codes"])) == (200, True, 10)
        assert is_logged_in(browser)
        site.app = app
        assert site.verify(site.half())[0] == 200

    def test_the_page_shows_the_recovery_codes_when_the_login_is_complete(self, make_site):
        site = make_site(policy="required")
        site.sign_up()
        browser = site.browser()
        response = browser.post("/login", identifier=ANN, password=PASSWORD)
        assert response.headers["Location"] == "/account/mfa/enrol"
        page = browser.page("/mfa/enrol")
        setup = page["forms"][0]["fields"][0]["value"]
        app = TotpApp(page["text"][1].partition(": ")[2], site.host.clock)
        response = browser.post("/mfa/enrol", setup=setup, code=app.code())
        assert response.status_code == 200
        assert "They are not shown again." in response.body.decode()
        assert is_logged_in(browser)

    def test_the_password_alone_cannot_enrol_for_an_account_with_a_factor(self, protected, make_site):
        """AthenaNetworks/mymate #42, with a policy that lets people enrol at the login."""
        site = required(protected, make_site)
        browser = site.half()
        assert browser.api("/mfa/enrol", method="GET")[0] == 401
        assert browser.api("/mfa/enrol", {"setup": "x", "code": "123456"})[0] == 401

    def test_a_factor_that_was_added_meanwhile_ends_the_enrolment(self, site, make_site):
        site.sign_up()
        before, site = site, required(site, make_site)
        mallory = site.browser()
        site.log_in(mallory)
        setup = mallory.api("/mfa/enrol", method="GET")[1]
        app = TotpApp(setup["uri"], site.host.clock)
        before.enrol()
        answer = mallory.api("/mfa/enrol", {"setup": setup["setup"], "code": app.code()})
        assert refused(answer) == (401, "login_required")
        assert not is_logged_in(mallory)

    def test_an_unverified_address_cannot_enrol(self, make_site):
        site = make_site(policy="required")
        site.sign_up(verify=False)
        browser = site.browser()
        assert site.log_in(browser)[0] == 202
        assert refused(browser.api("/mfa/enrol", method="GET")) == (403, "email_not_verified")

    def test_a_code_without_the_setup_is_told_so(self, make_site):
        site = make_site(policy="required")
        site.sign_up()
        browser = site.browser()
        assert site.log_in(browser)[0] == 202
        assert refused(browser.api("/mfa/enrol", {"code": "123456"})) == (403, "setup_expired")

    def test_the_grace_period(self, make_site, clock):
        site = make_site(policy="required", grace_days=7)
        site.sign_up()
        assert site.log_in(site.browser())[0] == 200
        panel = next(
            each for each in site.ann.page("/")["sections"] if each["title"] == "Two-step verification"
        )
        assert panel["text"][0].startswith("This site requires a second factor from ")
        clock.forward(days=6.9)
        assert site.log_in(site.browser())[0] == 200
        clock.forward(days=0.2)
        assert site.log_in(site.browser())[0] == 202

    def test_the_grace_period_begins_with_the_policy(self, make_site, clock):
        day = (clock() + timedelta(days=2)).date().isoformat()
        site = make_site(policy="required", required_since=day)
        site.sign_up()
        assert site.log_in(site.browser())[0] == 200
        clock.forward(days=2)
        assert site.log_in(site.browser())[0] == 202

    def test_the_last_factor_cannot_be_removed(self, protected, make_site):
        site = required(protected, make_site)
        browser = site.half()
        site.verify(browser)
        values = {"authenticator_id": authenticator(browser)["id"]}
        answer = browser.api(f"{OVERVIEW}/remove", values)
        assert refused(answer) == (403, "second_factor_required_by_policy")

    def test_the_last_factor_can_be_replaced(self, protected, make_site):
        site = required(protected, make_site)
        browser = site.half()
        site.verify(browser)
        values, app = begin(site, browser)
        replaced = {"setup": values["setup"], "code": app.code(), "replaces": authenticator(browser)["id"]}
        assert browser.api(TOTP, replaced)[0] == 200


def test_the_policy_off_asks_nobody_and_keeps_the_guard(make_site):
    site = make_site()
    site.sign_up()
    site.enrol()
    off = make_site(policy="off", settings={"database_url": site.host.settings.database_url})
    assert off.log_in(off.browser())[0] == 200
    on = make_site(settings={"database_url": site.host.settings.database_url})
    assert on.log_in(on.browser())[0] == 202


def test_wrong_settings_are_refused():
    for wrong in (
        {"policy": "always"},
        {"grace_days": -1},
        {"required_since": "tomorrow"},
        {"trust_days": 401},
        {"recovery_codes": 1},
        {"issuer": "a:b"},
        {"recent_factor": 0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MfaSettings(**wrong)


def test_the_page_has_every_setting_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "mfa.md").read_text().partition("## Policy")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", page, re.MULTILINE))
    for each in fields(MfaSettings):
        default = (
            f"`{each.default}`" if each.name == "policy" else str(each.default).removesuffix(".0").lower()
        )
        assert rows[each.name].strip() == default, each.name


def test_the_account_page_links_to_the_overview(site):
    site.sign_up()
    sections = site.ann.page("/")["sections"]
    section = next(each for each in sections if each["title"] == "Two-step verification")
    assert section["links"] == [{"label": "Manage", "target": OVERVIEW}]
    assert site.ann.page(OVERVIEW)["sections"][0]["links"][0]["target"] == TOTP
    assert VERIFY.startswith("/mfa")
