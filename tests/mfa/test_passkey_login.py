"""Logins by a passkey, without a username and a password."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from authhost_mfa import tables
from authhost_mfa.settings import MfaSettings
from authhost_mfa.webauthn.responses import encode
from sqlalchemy import select, update

from authhost.testing import Clock
from mfa.support import ANN, KEYS, ORIGIN, PASSKEY, SESSION, VERIFY, is_logged_in, refused


def logged_in_as(browser):
    return browser.api("/session", method="GET")[1]["user"]["email"]


@pytest.fixture
def ann(site, phone):
    """A site whose user ann has a passkey for comfort."""
    site.sign_up()
    site.add_key(phone)
    return site


def test_a_login(ann, phone):
    ann.recorder.clear()
    browser = ann.browser()
    status, body = ann.use_key(browser, phone, PASSKEY)
    assert (status, body["authenticated"], body["user"]["email"]) == (200, True, ANN)
    assert ann.recorder.names.count("user_logged_in") == 1
    with ann.host.request(session_token=browser.cookies[SESSION]) as request:
        (found,) = request.authentication
    assert (found.method, found.factors) == ("webauthn", ("possession", "inherence"))


def test_the_options_name_nobody(ann):
    options = ann.browser().api(PASSKEY, method="GET")[1]["options"]
    assert (options["allowCredentials"], options["userVerification"]) == ([], "preferred")


def test_on_the_login_page(ann, phone):
    browser = ann.browser()
    page = browser.page("/login?next=/account/emails")
    section = next(each for each in page["sections"] if each["title"] == "Log in without a password")
    form = section["forms"][0]
    assert form["fields"][0]["autocomplete"] == "webauthn"
    identifier = next(each for each in page["forms"][0]["fields"] if each["name"] == "identifier")
    assert identifier["autocomplete"] == "username webauthn"
    response = browser.post(form["action"], credential=phone.get(form["fields"][0]["value"], ORIGIN))
    assert response.headers["Location"] == "/account/emails"
    assert is_logged_in(browser)


def test_showing_the_login_page_costs_no_statement(ann):
    with ann.statements() as seen:
        ann.browser().page("/login")
    assert not [each for each in seen if "mfa" in each]


def test_a_refusal_is_shown_with_a_new_form(ann, phone):
    browser = ann.browser()
    response = browser.post(f"{PASSKEY}?next=/account/emails", credential="{}")
    assert response.status_code == 403
    assert "form-1-credential-error" in response.body.decode()
    form = browser.page(f"{PASSKEY}?next=/account/emails")["forms"][0]
    response = browser.post(form["action"], credential=phone.get(form["fields"][0]["value"], ORIGIN))
    assert response.headers["Location"] == "/account/emails"


def test_a_passkey_that_has_verified_its_user_is_not_challenged_again(protected, phone):
    """better-auth PR #9203, Authelia PR #9018: a passkey with user verification is two factors."""
    protected.add_key(phone, second_factor=True)
    browser = protected.browser()
    assert protected.use_key(browser, phone, PASSKEY)[0] == 200
    assert is_logged_in(browser)
    assert browser.api(KEYS, method="GET")[0] == 200


def test_also_if_the_policy_requires_a_second_factor(ann, phone, make_site):
    site = make_site(policy="required", settings={"database_url": ann.host.settings.database_url})
    assert site.use_key(site.browser(), phone, PASSKEY)[0] == 200


class TestWithoutUserVerification:
    """The key alone is one factor."""

    def test_it_is_enough_for_an_account_without_a_second_factor(self, site, badge):
        site.sign_up()
        site.add_key(badge)
        assert site.use_key(site.browser(), badge, PASSKEY)[0] == 200

    def test_the_second_factor_is_still_asked(self, protected, badge):
        protected.add_key(badge)
        browser = protected.browser()
        status, body = protected.use_key(browser, badge, PASSKEY)
        step = body["next"][0]
        assert (status, step["step"]) == (202, "mfa.second_factor")
        assert sorted(step["methods"]) == ["recovery_code", "totp"]
        assert not is_logged_in(browser)
        page = browser.page(VERIFY)
        assert "is not enough" in page["text"][1]
        assert protected.verify(browser)[0] == 200

    def test_the_same_key_is_no_second_factor(self, site, badge):
        site.sign_up()
        (code, *_) = site.add_key(badge, second_factor=True)
        browser = site.browser()
        status, body = site.use_key(browser, badge, PASSKEY)
        assert (status, body["next"][0]["methods"]) == (202, ["recovery_code"])
        options = browser.api(VERIFY, method="GET")[1]["options"]
        assert options["allowCredentials"] == []
        answer = browser.api(VERIFY, {"credential": badge.get(options, ORIGIN)})
        assert refused(answer) == (403, "unknown_credential")
        assert site.verify(browser, recovery_code=code)[0] == 200

    def test_the_same_key_is_none_although_time_passes_within_a_request(self, site, badge, monkeypatch):
        site.sign_up()
        site.add_key(badge, second_factor=True)
        stopped = Clock.__call__

        def running(clock):
            clock.forward(seconds=0.001)
            return stopped(clock)

        monkeypatch.setattr(Clock, "__call__", running)
        browser = site.browser()
        status, body = site.use_key(browser, badge, PASSKEY)
        assert (status, body["next"][0]["methods"]) == (202, ["recovery_code"])
        options = browser.api(VERIFY, method="GET")[1]["options"]
        assert options["allowCredentials"] == []
        answer = browser.api(VERIFY, {"credential": badge.get(options, ORIGIN)})
        assert refused(answer) == (403, "unknown_credential")

    def test_nor_after_another_login_by_a_server_whose_clock_is_behind(self, site, badge, clock):
        site.sign_up()
        site.add_key(badge, second_factor=True)
        clock.forward(seconds=60)
        browser = site.browser()
        assert site.use_key(browser, badge, PASSKEY)[0] == 202
        clock.forward(seconds=-5)
        assert site.use_key(site.browser(), badge, PASSKEY)[0] == 202
        clock.forward(seconds=5)
        options = browser.api(VERIFY, method="GET")[1]["options"]
        answer = browser.api(VERIFY, {"credential": badge.get(options, ORIGIN)})
        assert refused(answer) == (403, "unknown_credential")

    def test_it_changes_no_factors(self, site, badge):
        """A session that began before the account had a second factor, or in a trusted browser."""
        site.sign_up()
        site.add_key(badge)
        before = site.browser()
        assert site.use_key(before, badge, PASSKEY)[0] == 200
        site.enrol()
        assert refused(before.api("/mfa/recovery-codes", {})) == (403, "second_factor_required")
        assert site.use_key(before, badge, "/mfa/reauthenticate")[0] == 200
        assert refused(before.api("/mfa/recovery-codes", {})) == (403, "second_factor_required")
        assert before.api("/mfa/reauthenticate", {"code": site.app.next_code()})[0] == 200
        assert before.api("/mfa/recovery-codes", {})[0] == 200

    def test_another_key_is_one(self, site, badge, stick):
        site.sign_up()
        site.add_key(badge, second_factor=True)
        site.add_key(stick)
        browser = site.browser()
        assert site.use_key(browser, badge, PASSKEY)[0] == 202
        assert site.use_key(browser, stick)[0] == 200

    def test_it_allows_no_further_attempts_to_guess_codes(self, protected, badge):
        protected.add_key(badge)
        browser = protected.browser()
        protected.use_key(browser, badge, PASSKEY)
        for _ in range(5):
            assert protected.verify(browser, "000000")[0] == 403
        browser = protected.browser()
        protected.use_key(browser, badge, PASSKEY)
        assert refused(protected.verify(browser)) == (403, "too_many_tries")


class TestTheSameAnswer:
    """An unknown credential, a removed one, and one of a deactivated account."""

    def answer(self, site, phone):
        browser = site.browser()
        status, body = site.use_key(browser, phone, PASSKEY)
        assert not is_logged_in(browser)
        return status, {name: value for name, value in body.items() if name != "instance"}

    def test_it(self, ann, phone, badge):
        bob = ann.browser()
        ann.sign_up("bob@example.org", browser=bob)
        ann.add_key(badge, bob)
        with ann.host.request() as request:
            request.accounts.deactivate(request.user_by_email("bob@example.org").id)
        deactivated = self.answer(ann, badge)
        listed = ann.ann.api("/mfa/authenticators", method="GET")[1]["authenticators"]
        ann.ann.api("/mfa/authenticators/remove", {"authenticator_id": listed[0]["id"]})
        removed = self.answer(ann, phone)
        with ann.host.request() as request:
            request.accounts.delete(request.user_by_email(ANN).id)
        deleted = self.answer(ann, phone)
        assert deactivated == removed == deleted
        assert refused(removed) == (403, "unknown_credential")


def test_the_handle_must_be_that_of_the_account(ann, phone):
    bob = ann.browser()
    ann.sign_up("bob@example.org", browser=bob)
    phone.credentials[0].user_handle = b"somebody else"
    assert refused(ann.use_key(ann.browser(), phone, PASSKEY)) == (403, "invalid_credential")


def test_a_response_without_a_handle_is_refused(site, stick):
    """A credential that only a username finds is a second factor, not a login."""
    site.sign_up()
    site.add_key(stick)
    browser = site.browser()
    options = browser.api(PASSKEY, method="GET")[1]["options"]
    options["allowCredentials"] = [{"type": "public-key", "id": credential_id(site)}]
    answer = browser.api(PASSKEY, {"credential": stick.get(options, ORIGIN)})
    assert refused(answer) == (403, "invalid_credential")


def credential_id(site):
    with site.host.reader.connect() as connection:
        found = connection.execute(select(tables.authenticator_table.c.credential_id)).scalar_one()
    return encode(found)


def test_a_wrong_signature_and_a_clone_are_refused(ann, phone, badge):
    ann.add_key(badge)
    response = json.loads(ann.get_key(ann.browser(), phone, PASSKEY))
    response["response"]["signature"] = "AAAA"
    answer = ann.browser().api(PASSKEY, {"credential": json.dumps(response)})
    assert refused(answer) == (403, "invalid_credential")
    clone = badge.copy()
    assert ann.use_key(ann.browser(), badge, PASSKEY)[0] == 200
    assert refused(ann.use_key(ann.browser(), clone, PASSKEY)) == (403, "credential_cloned")


def test_a_response_is_accepted_once(ann, phone):
    response = ann.get_key(ann.browser(), phone, PASSKEY)
    assert ann.browser().api(PASSKEY, {"credential": response})[0] == 200
    assert refused(ann.browser().api(PASSKEY, {"credential": response})) == (403, "challenge_used")


def test_another_site_cannot_log_a_person_in(ann, phone):
    """Login CSRF: fastapi-users CVE-2025-68481, Authlib CVE-2025-68158."""
    response = ann.get_key(ann.browser(), phone, PASSKEY)
    victim = ann.browser()
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert victim.post(PASSKEY, headers=headers, credential=response).status_code == 403
    assert not is_logged_in(victim)


def test_it_replaces_the_session_of_another_user(ann, phone):
    browser = ann.browser()
    ann.sign_up("bob@example.org", browser=browser)
    assert ann.use_key(browser, phone, PASSKEY)[0] == 200
    assert logged_in_as(browser) == ANN


def test_the_step_of_an_unverified_address_stays(make_site, phone):
    site = make_site(settings={"email_verification": "mandatory"})
    site.sign_up()
    site.log_in(site.ann)
    site.add_key(phone)
    from authhost.store.tables import addresses

    with site.host.engine.begin() as connection:
        connection.execute(update(addresses).values(verified=False))
    browser = site.browser()
    status, body = site.use_key(browser, phone, PASSKEY)
    assert (status, body["next"][0]["step"]) == (202, "email_verification")
    assert not is_logged_in(browser)


def test_it_can_be_switched_off(ann, phone, make_site):
    response = ann.get_key(ann.browser(), phone, PASSKEY)
    site = make_site(passkey_login=False, settings={"database_url": ann.host.settings.database_url})
    browser = site.browser()
    titles = [each["title"] for each in browser.page("/login").get("sections", [])]
    assert "Log in without a password" not in titles
    assert refused(browser.api(PASSKEY, method="GET")) == (403, "passkey_login_off")
    assert refused(browser.api(PASSKEY, {"credential": response})) == (403, "passkey_login_off")
    assert browser.get(PASSKEY).status_code == 403
    assert not is_logged_in(browser)
    assert MfaSettings().passkey_login is True


def test_the_policy_off_allows_it(ann, phone, make_site):
    site = make_site(policy="off", settings={"database_url": ann.host.settings.database_url})
    assert site.use_key(site.browser(), phone, PASSKEY)[0] == 200


def test_it_works_again_when_a_deactivation_is_over(ann, phone, clock):
    with ann.host.request() as request:
        user = request.user_by_email(ANN)
        request.accounts.deactivate(user.id, until=clock.now + timedelta(hours=1))
    browser = ann.browser()
    assert refused(ann.use_key(browser, phone, PASSKEY)) == (403, "unknown_credential")
    clock.forward(hours=1)
    assert ann.use_key(browser, phone, PASSKEY)[0] == 200
