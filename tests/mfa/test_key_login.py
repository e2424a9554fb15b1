"""Passkeys and security keys as the second factor of a login, and to confirm that it is the user."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from authhost_mfa import tables
from sqlalchemy import select

from authhost.testing import PASSWORD
from mfa.support import ANN, KEYS, ORIGIN, PASSKEY, REAUTHENTICATE, SESSION, VERIFY, is_logged_in, refused


def row(site):
    table = tables.authenticator_table
    with site.host.reader.connect() as connection:
        return connection.execute(select(table).where(table.c.kind == "webauthn")).one()


def factors(site, browser):
    with site.host.request(session_token=browser.cookies[SESSION]) as request:
        return [(each.method, each.factors) for each in request.authentication]


@pytest.fixture
def keyed(site, stick):
    """A site whose user ann has a security key, which is asked for."""
    site.sign_up()
    site.codes = site.add_key(stick, name="Stick")
    return site


def test_a_login_with_a_security_key(keyed, stick):
    browser = keyed.half()
    status, body = keyed.use_key(browser, stick)
    assert (status, body["authenticated"], body["user"]["email"]) == (200, True, ANN)
    assert factors(keyed, browser) == [("password", ("knowledge",)), ("webauthn", ("possession",))]
    assert (row(keyed).sign_count, row(keyed).user_verified) == (1, False)
    assert row(keyed).last_used_at is not None


def test_a_key_that_verifies_its_user_proves_two_factors(site, phone):
    site.sign_up()
    site.add_key(phone, second_factor=True)
    browser = site.half()
    site.use_key(browser, phone)
    assert factors(site, browser)[1] == ("webauthn", ("possession", "inherence"))


def test_the_pages(keyed, stick):
    browser = keyed.half()
    page = browser.page(VERIFY)
    assert [each["title"] for each in page["forms"]] == ["Passkey or security key", "Recovery code"]
    field, trust = page["forms"][0]["fields"]
    assert (field["type"], trust["name"]) == ("public_key_get", "trust")
    assert len(json.loads(field["value"])["allowCredentials"]) == 1
    shown = browser.post(VERIFY, credential="{}")
    assert "form-1-credential-error" in shown.body.decode()
    response = browser.post(VERIFY, credential=stick.get(field["value"], ORIGIN), trust="on")
    assert response.headers["Location"] == "/account/"
    assert is_logged_in(browser)
    browser.api("/logout", {})
    assert keyed.log_in(browser)[0] == 200


def test_every_enrolled_kind_is_offered_and_the_last_used_first(protected, stick, phone):
    """LanternOps/breeze #2153: one stored method was offered, not a choice."""
    protected.add_key(stick)
    protected.add_key(phone)
    browser = protected.half()
    methods = protected.log_in(protected.browser())[1]["next"][0]["methods"]
    assert sorted(methods) == ["recovery_code", "totp", "webauthn"]
    allowed = browser.api(VERIFY, method="GET")[1]["options"]["allowCredentials"]
    assert len(allowed) == 2  # also the passkey that is not asked for
    assert protected.use_key(browser, phone)[0] == 200
    assert protected.log_in(protected.browser())[1]["next"][0]["methods"][0] == "webauthn"
    protected.verify(protected.half())
    assert protected.log_in(protected.browser())[1]["next"][0]["methods"][0] == "totp"


def test_a_clone_is_refused(site):
    """WebAuthn 6.1.1. The refusal is reported, and the counter stays."""
    from authhost.testing import VirtualAuthenticator

    key = VirtualAuthenticator(user_verification=False, resident_keys=False, sign_count=5)
    site.sign_up()
    site.add_key(key)
    clone = key.copy()
    assert site.use_key(site.half(), key)[0] == 200
    assert row(site).sign_count == 6
    browser = site.half()
    assert refused(site.use_key(browser, clone)) == (403, "credential_cloned")
    assert not is_logged_in(browser)
    assert row(site).sign_count == 6
    assert site.use_key(site.half(), key)[0] == 200


def test_the_state_of_the_backup_is_stored_and_turns_nobody_away(site, phone):
    site.sign_up()
    site.add_key(phone, second_factor=True)
    phone.credentials[0].backed_up = False
    assert site.use_key(site.half(), phone)[0] == 200
    assert row(site).backed_up is False


def test_a_response_is_accepted_once(keyed, stick):
    """better-auth GHSA-cq3f-vc6p-68fh: a pending thing is claimed once."""
    browser, copy = keyed.half(), keyed.browser()
    copy.cookies = dict(browser.cookies)
    response = keyed.get_key(browser, stick)
    assert browser.api(VERIFY, {"credential": response})[0] == 200
    assert refused(copy.api(VERIFY, {"credential": response}))[0] == 401
    keyed.host.clock.forward(seconds=1)
    assert refused(keyed.half().api(VERIFY, {"credential": response})) == (403, "invalid_credential")


def test_of_requests_at_the_same_time_one_is_accepted(keyed, stick):
    """The counter is compared by a conditional UPDATE, not by a read and then a write."""
    browser = keyed.half()
    response = keyed.get_key(browser, stick)

    def attempt(number):
        copy = keyed.browser()
        copy.cookies = dict(browser.cookies)
        return copy.api(VERIFY, {"credential": response})[0]

    with ThreadPoolExecutor(4) as pool:
        first, *others = sorted(pool.map(attempt, range(4)))
    assert first == 200
    assert set(others) <= {401, 403, 409}, others
    assert row(keyed).sign_count == 1


def test_a_response_is_for_one_pending_login(keyed, stick):
    first = keyed.half()
    response = keyed.get_key(first, stick)
    keyed.host.clock.forward(seconds=1)
    assert refused(keyed.half().api(VERIFY, {"credential": response})) == (403, "invalid_credential")
    assert first.api(VERIFY, {"credential": response})[0] == 200


def test_a_response_expires(keyed, stick, clock):
    browser = keyed.half()
    response = keyed.get_key(browser, stick)
    clock.forward(seconds=301)
    assert refused(browser.api(VERIFY, {"credential": response})) == (403, "challenge_expired")


def test_the_key_of_another_user_is_refused(keyed, stick, phone):
    mallory = keyed.browser()
    keyed.sign_up("mallory@example.org", browser=mallory)
    keyed.add_key(phone, mallory)
    browser = keyed.half()
    options = browser.api(VERIFY, method="GET")[1]["options"]
    options["allowCredentials"] = []
    answer = browser.api(VERIFY, {"credential": phone.get(options, ORIGIN)})
    assert refused(answer) == (403, "unknown_credential")
    assert keyed.use_key(browser, stick)[0] == 200


def test_a_removed_key_is_refused(keyed, stick, phone):
    keyed.add_key(phone, second_factor=True)
    browser = keyed.half()
    response = keyed.get_key(browser, phone)
    listed = keyed.ann.api("/mfa/authenticators", method="GET")[1]["authenticators"]
    identifier = next(each["id"] for each in listed if not each["name"])
    assert keyed.ann.api("/mfa/authenticators/remove", {"authenticator_id": identifier})[0] == 200
    assert refused(browser.api(VERIFY, {"credential": response})) == (403, "unknown_credential")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [KEYS, f"{KEYS}/rename", f"{KEYS}/second-factor", REAUTHENTICATE])
def test_while_a_step_waits_no_key_is_added_or_changed(keyed, phone, method, path):
    """AthenaNetworks/mymate #42: password alone, then enrol one's own key, then delete the victim's."""
    browser = keyed.half()
    assert browser.api(path, {"credential": "{}"}, method=method)[0] in (401, 405)
    assert browser.get(path).headers["Location"].startswith("/account/login")
    assert browser.post(path).headers["Location"].startswith("/account/login")


def test_until_the_key_was_used_there_is_no_session(keyed, stick):
    """better-auth GHSA-xg6x-h9c9-2m83: a session existed before the second factor."""
    keyed.recorder.clear()
    browser = keyed.half()
    keyed.get_key(browser, stick)
    assert SESSION not in browser.cookies
    assert "user_logged_in" not in keyed.recorder.names
    keyed.use_key(browser, stick)
    assert keyed.recorder.names.count("user_logged_in") == 1


def test_the_session_of_another_user_does_not_silence_the_key(keyed, stick, phone):
    """better-auth PR #9203."""
    browser = keyed.browser()
    keyed.sign_up("bob@example.org", browser=browser)
    keyed.add_key(phone, browser)
    assert keyed.log_in(browser)[0] == 202
    assert browser.api("/session", method="GET")[1]["user"]["email"] == "bob@example.org"
    assert keyed.use_key(browser, stick)[0] == 200
    assert browser.api("/session", method="GET")[1]["user"]["email"] == ANN


def test_wrong_codes_are_forgotten_after_a_key(protected, stick):
    protected.add_key(stick)
    browser = protected.half()
    for _ in range(4):
        protected.verify(browser, "000000")
    protected.use_key(browser, stick)
    with protected.host.reader.connect() as connection:
        assert connection.execute(select(tables.account_table.c.failures)).scalar_one() == 0


class TestReauthentication:
    @pytest.fixture
    def ann(self, keyed, stick, clock):
        """A browser that has logged in with the key, some time ago."""
        browser = keyed.half()
        keyed.use_key(browser, stick)
        clock.forward(minutes=20)
        assert browser.api(KEYS, method="GET")[0] == 401
        return browser

    def test_with_a_key(self, keyed, ann, stick):
        before = ann.cookies[SESSION]
        assert keyed.use_key(ann, stick, REAUTHENTICATE)[0] == 200
        assert ann.cookies[SESSION] != before
        assert ann.api(KEYS, method="GET")[0] == 200

    def test_on_the_page_of_the_core(self, ann, stick):
        page = ann.page("/reauthenticate?next=/account/emails")
        section = next(each for each in page["sections"] if each["title"] == "Two-step verification")
        form = section["forms"][0]
        assert section["links"][0]["label"] == "Use a code"
        response = ann.post(form["action"], credential=stick.get(form["fields"][0]["value"], ORIGIN))
        assert response.headers["Location"] == "/account/emails"

    def test_users_without_a_second_factor_see_nothing_of_it(self, keyed, clock):
        bob = keyed.browser()
        keyed.sign_up("bob@example.org", browser=bob)
        clock.forward(minutes=20)
        titles = [each["title"] for each in bob.page("/reauthenticate")["sections"]]
        assert "Two-step verification" not in titles

    def test_it_proves_freshness(self, keyed, ann, stick, clock):
        """Flask-Security GHSA-f66q-9rf6-8795: bound to this session, this user, this challenge, once."""
        other = keyed.half()
        keyed.use_key(other, stick)
        of_other = keyed.get_key(other, stick, REAUTHENTICATE)
        of_login = keyed.get_key(keyed.browser(), stick_as_passkey(stick), PASSKEY)
        of_step = keyed.get_key(keyed.half(), stick)
        for response in (of_other, of_login, of_step):
            assert refused(ann.api(REAUTHENTICATE, {"credential": response})) == (403, "invalid_credential")
        old = keyed.get_key(ann, stick, REAUTHENTICATE)
        clock.forward(seconds=301)
        assert refused(ann.api(REAUTHENTICATE, {"credential": old})) == (403, "challenge_expired")
        assert ann.api(KEYS, method="GET")[0] == 401
        response = keyed.get_key(ann, stick, REAUTHENTICATE)
        assert ann.api(REAUTHENTICATE, {"credential": response})[0] == 200
        assert refused(ann.api(REAUTHENTICATE, {"credential": response})) == (403, "challenge_used")

    def test_a_response_of_a_reauthentication_logs_nobody_in(self, keyed, ann, stick):
        response = keyed.get_key(ann, stick, REAUTHENTICATE)
        for browser, path in ((keyed.half(), VERIFY), (keyed.browser(), PASSKEY)):
            assert refused(browser.api(path, {"credential": response})) == (403, "invalid_credential")
            assert not is_logged_in(browser)

    def test_the_password_alone_is_no_second_factor(self, ann):
        ann.api("/reauthenticate", {"password": PASSWORD})
        response = ann.api(KEYS, {"credential": "{}"})
        assert refused(response) == (403, "second_factor_required")


def stick_as_passkey(stick):
    """The same key on a phone of the thief, which offers it to every page."""
    copy = stick.copy()
    for each in copy.credentials:
        each.discoverable = True
    return copy
