"""Signups with a passkey: an account without a password."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Thread

import pytest
from authhost_hookspecs import Actor, hookimpl
from authhost_mfa import authenticators, tables
from authhost_mfa.settings import MfaSettings
from authhost_mfa.webauthn import credential_id_of
from sqlalchemy import select, update

from authhost.store.tables import addresses, sessions, users
from authhost.testing import OTHER_PASSWORD, PASSWORD, VirtualAuthenticator
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider
from mfa.support import ANN, ENROL, KEYS, ORIGIN, PASSKEY, REAUTHENTICATE, is_logged_in, refused

SIGNUP, OPTIONS = "/mfa/signup", "/mfa/signup/options"
AUTHENTICATORS, REMOVE = "/mfa/authenticators", "/mfa/authenticators/remove"
COOKIE = "__Host-mfa-signup"
MANDATORY = {"email_verification": "mandatory", "login_on_email_confirmation": True}
BOB = "bob@example.org"


def begin(browser, phone, email=ANN, **values):
    """Return what a program sends to sign up."""
    status, body = browser.api(OPTIONS, {"email": email, **values})
    assert status == 200, body
    credential = phone.create(body["options"], ORIGIN)
    return {"email": email, **values, "setup": body["setup"], "credential": credential}


def sign_up(browser, phone, email=ANN, **values):
    return browser.api(SIGNUP, begin(browser, phone, email, **values))


@pytest.fixture
def waiting(make_site):
    """A site where the address must be confirmed first."""
    return make_site(settings=MANDATORY)


class TestWithoutMandatoryVerification:
    def test_a_signup(self, site, phone):
        status, body = sign_up(site.ann, phone)
        assert (status, body["authenticated"], body["user"]["email"]) == (200, True, ANN)
        assert body["recovery_codes"] == []
        with site.host.request(session_token=site.ann.cookies["__Host-authhost-session"]) as request:
            (found,) = request.authentication
            assert (found.method, found.factors) == ("webauthn", ("possession", "inherence"))
            assert not request.user.has_usable_password
        assert site.recorder.names[0] == "user_signed_up"

    def test_the_passkey_logs_in(self, site, phone):
        sign_up(site.ann, phone)
        browser = site.browser()
        status, body = site.use_key(browser, phone, PASSKEY)
        assert (status, body["user"]["email"]) == (200, ANN)

    def test_a_taken_address(self, site, phone):
        site.sign_up()
        browser = site.browser()
        assert refused(sign_up(browser, phone)) == (409, "email_taken")
        assert not is_logged_in(browser)
        assert site.count(tables.authenticator_table) == site.count(tables.used_challenge_table) == 0


class TestWithMandatoryVerification:
    def test_it_waits_for_the_confirmation(self, waiting, phone):
        status, body = sign_up(waiting.ann, phone)
        assert (status, body["next"][0]["step"]) == (202, "email_verification")
        assert not is_logged_in(waiting.ann)
        status, body = waiting.ann.api("/confirm-email", {"key": waiting.recorder.key()})
        assert (status, body["recovered"], body["authenticated"]) == (200, False, True)
        assert waiting.ann.api(KEYS, method="GET")[0] == 200
        assert waiting.use_key(waiting.browser(), phone, PASSKEY)[0] == 200

    def test_a_login_before_it_waits_too(self, waiting, phone):
        sign_up(waiting.ann, phone)
        status, body = waiting.use_key(waiting.browser(), phone, PASSKEY)
        assert (status, body["next"][0]["step"]) == (202, "email_verification")

    def test_whoever_logs_in_with_the_passkey_first_confirms_in_another_browser(self, waiting, phone):
        sign_up(waiting.ann, phone)
        key, laptop = waiting.recorder.key(), waiting.browser()
        waiting.use_key(laptop, phone, PASSKEY)
        status, body = laptop.api("/confirm-email", {"key": key})
        assert (status, body["recovered"], body["authenticated"]) == (200, False, True)

    def test_while_the_plugin_is_blocked_the_owner_waits_since_the_passkey_would_stay(self, waiting, phone):
        sign_up(waiting.ann, phone)
        key, owner, root = waiting.recorder.key(), waiting.browser(), Actor("operator", name="root")
        waiting.host.plugins.block("mfa", reason="it hangs", actor=root)
        assert refused(owner.api("/confirm-email", {"key": key}))[1] == "login_unavailable"
        waiting.host.plugins.unblock("mfa", actor=root)
        status, body = owner.api("/confirm-email", {"key": key})
        assert (status, body["recovered"]) == (200, True)
        assert refused(waiting.use_key(waiting.browser(), phone, PASSKEY))

    def test_a_page_in_another_browser_says_what_its_button_does(self, waiting, phone):
        sign_up(waiting.ann, phone)
        key, laptop = waiting.recorder.key(), waiting.browser()
        shown = {}
        for name, browser in (("here", waiting.ann), ("elsewhere", laptop)):
            browser.get(f"/confirm-email/{key}")
            shown[name] = browser.page("/confirm-email")["text"]
        assert len(shown["here"]) == 1
        assert "open the link there, or log in here first" in shown["elsewhere"][1]
        waiting.use_key(laptop, phone, PASSKEY)
        assert len(laptop.page("/confirm-email")["text"]) == 1

    def test_a_taken_address_behaves_like_a_free_one(self, waiting):
        owner = waiting.browser()
        waiting.sign_up(ANN, browser=owner)
        seen = {email: self.answers(waiting, email) for email in (ANN, "free@example.org")}
        assert seen[ANN] == seen["free@example.org"]
        kinds = {
            email: [each.kind for each in waiting.recorder.messages if each.recipient == email]
            for email in seen
        }
        assert set(kinds["free@example.org"]) == {"email_confirmation"}
        assert set(kinds[ANN][1:]) == {"signup_existing_account"}  # the first one is the owner's
        assert len(kinds[ANN]) == len(kinds["free@example.org"]) + 1

    def answers(self, site, email):
        """What a stranger can see, and what the database has to do."""
        browser, phone, seen = site.browser(), VirtualAuthenticator(), []
        begun = begin(browser, phone, email)
        with site.statements() as statements:
            response = browser.api(SIGNUP, begun)
        writes = [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]
        seen += [response, [" ".join(each.split()[:3]) for each in writes]]
        seen += [sorted(browser.cookies), browser.api("/session", method="GET")]
        other = site.browser()
        seen += [site.use_key(other, phone, PASSKEY), sorted(other.cookies)]
        seen.append(browser.api("/confirm-email/send", {}))
        page = site.browser()
        shown = page.post(SIGNUP, email=email).body.decode()
        seen.append(re.sub(r'(value|data-options)="[^"]*"', "", shown).replace(email, "ADDRESS"))
        return json.loads(json.dumps(seen).replace(email, "ADDRESS"))

    def test_an_account_that_is_never_confirmed_is_deleted_with_its_passkey(self, waiting, phone, clock):
        sign_up(waiting.ann, phone)
        assert waiting.count(tables.authenticator_table) == 1
        clock.forward(seconds=timedelta(days=30).total_seconds())
        waiting.host.delete_expired()
        assert waiting.count(users) == 0
        assert waiting.count(tables.authenticator_table) == waiting.count(tables.account_table) == 0


class TestPages:
    def test_a_signup(self, site, phone):
        browser = site.browser()
        page = browser.page("/signup?next=/account/emails")
        (section,) = [each for each in page["sections"] if each["title"] == "Sign up without a password"]
        target = section["links"][0]["target"]
        form = browser.page(target)["forms"][0]
        assert [each["name"] for each in form["fields"]] == ["email"]
        form = self.second(browser, form["action"], email=ANN)
        values = {each["name"]: each["value"] for each in form["fields"]}
        assert json.loads(values["credential"])["user"]["name"] == ANN
        values["credential"] = phone.create(values["credential"], ORIGIN)
        response = browser.post(form["action"], **values)
        assert response.headers["Location"] == "/account/emails"
        assert is_logged_in(browser)
        assert COOKIE not in browser.cookies

    def second(self, browser, action, **values):
        response = browser.post(action, headers={"Accept": "application/json"}, **values)
        assert response.status_code == 200
        return json.loads(response.body)["forms"][0]

    def test_it_waits_for_the_confirmation(self, waiting, phone):
        browser = waiting.browser()
        form = self.second(browser, SIGNUP, email=ANN)
        values = {each["name"]: each["value"] for each in form["fields"]}
        values["credential"] = phone.create(values["credential"], ORIGIN)
        assert browser.post(SIGNUP, **values).headers["Location"] == "/account/confirm-email"
        assert not is_logged_in(browser)

    def test_a_refusal_is_shown_with_what_was_typed(self, site, phone):
        site.sign_up()
        browser = site.browser()
        form = self.second(browser, SIGNUP, email=ANN)
        values = {each["name"]: each["value"] for each in form["fields"]}
        values["credential"] = phone.create(values["credential"], ORIGIN)
        response = browser.post(SIGNUP, headers={"Accept": "application/json"}, **values)
        (email,) = json.loads(response.body)["forms"][0]["fields"]
        assert response.status_code == 409
        assert email["value"] == ANN
        assert email["error"]

    def test_it_says_that_it_needs_javascript(self, site):
        browser = site.browser()
        assert "need JavaScript" in browser.get(SIGNUP).body.decode()
        assert "need JavaScript" in browser.post(SIGNUP, email=ANN).body.decode()

    def test_recovery_codes_are_shown_if_the_policy_requires_a_second_factor(self, make_site, phone):
        site = make_site(policy="required", settings=MANDATORY)
        browser = site.browser()
        form = self.second(browser, SIGNUP, email=ANN)
        values = {each["name"]: each["value"] for each in form["fields"]}
        values["credential"] = phone.create(values["credential"], ORIGIN)
        response = browser.post(SIGNUP, headers={"Accept": "application/json"}, **values)
        page = json.loads(response.body)
        assert page["id"] == "mfa_new_recovery_codes"
        assert "confirmation" in page["messages"][0]["text"]


def test_what_the_site_is_given_reaches_the_hooks(make_site, phone):
    """Such as an invitation in the address of the signup page."""
    seen = []

    class Invited:
        @hookimpl
        def before_signup(self, request, email):
            seen.append(dict(request.given))

    site = make_site(plugins={"invited": Invited()}, settings={"web_given": ("invitation",)})
    browser = site.browser()
    page = browser.page("/signup?invitation=k7Qw93")
    (target,) = [link["target"] for each in page["sections"] for link in each["links"]]
    form = browser.page(target)["forms"][0]
    headers = {"Accept": "application/json"}
    form = json.loads(browser.post(form["action"], headers=headers, email=ANN).body)["forms"][0]
    values = {each["name"]: each["value"] for each in form["fields"]}
    values["credential"] = phone.create(values["credential"], ORIGIN)
    assert browser.post(form["action"], **values).status_code == 303
    assert seen == [{"invitation": "k7Qw93"}]


class TestUsername:
    def test_the_site_decides_whether_it_is_asked(self, make_site, phone):
        site = make_site(settings={"username_at_signup": "required"})
        browser = site.browser()
        fields = browser.page(SIGNUP)["forms"][0]["fields"]
        assert [(each["name"], each["required"]) for each in fields] == [("email", True), ("username", True)]
        assert refused(browser.api(OPTIONS, {"email": ANN})) == (403, "username_required")
        assert sign_up(browser, phone, username="ann")[1]["user"]["username"] == "ann"

    def test_it_may_be_left_out(self, make_site, phone):
        site = make_site(settings={"username_at_signup": "optional"})
        assert sign_up(site.ann, phone)[1]["user"]["username"] is None

    def test_it_is_ignored_where_none_is_asked(self, site, phone):
        assert sign_up(site.ann, phone, username="ann")[1]["user"]["username"] is None

    def test_another_one_can_be_chosen_for_the_same_passkey(self, make_site, phone, badge):
        site = make_site(settings={"username_at_signup": "required"})
        sign_up(site.browser(), VirtualAuthenticator(), BOB, username="ann")
        begun = begin(site.ann, phone, username="ann")
        assert refused(site.ann.api(SIGNUP, begun)) == (409, "username_taken")
        assert site.ann.api(SIGNUP, {**begun, "username": "anna"})[0] == 200


class TestPolicy:
    @pytest.mark.parametrize("settings", [{}, MANDATORY])
    def test_required_asks_for_nothing_more(self, make_site, phone, settings):
        site = make_site(policy="required", settings=settings)
        status, body = sign_up(site.ann, phone)
        assert len(body["recovery_codes"]) == 10
        if settings:
            status, body = site.ann.api("/confirm-email", {"key": site.recorder.key()})
        assert (status, body["authenticated"]) == (200, True)
        assert site.ann.api(ENROL, method="GET")[1]["code"] == "already_logged_in"
        assert site.use_key(site.browser(), phone, PASSKEY)[0] == 200

    def test_required_guards_the_account(self, make_site, phone):
        """Also after a reset has set a password."""
        site = make_site(policy="required", settings=MANDATORY)
        sign_up(site.ann, phone)
        site.ann.api("/confirm-email", {"key": site.recorder.key()})
        reset_password(site)
        browser = site.browser()
        assert site.log_in(browser, password=OTHER_PASSWORD)[1]["next"][0]["step"] == "mfa.second_factor"
        assert site.use_key(browser, phone)[0] == 200

    def test_otherwise_a_later_password_is_enough(self, waiting, phone):
        sign_up(waiting.ann, phone)
        waiting.ann.api("/confirm-email", {"key": waiting.recorder.key()})
        reset_password(waiting)
        assert waiting.log_in(waiting.browser(), password=OTHER_PASSWORD)[0] == 200
        assert waiting.use_key(waiting.browser(), phone, PASSKEY)[0] == 200


def reset_password(site, email=ANN):
    browser = site.browser()
    assert browser.api("/forgot-password", {"email": email})[0] == 200
    key = site.recorder.key()
    status, body = browser.api("/reset-password", {"key": key, "password": OTHER_PASSWORD})
    assert status in (200, 202), body
    return browser


class TestRefusals:
    def test_a_passkey_that_has_not_verified_its_user(self, site, badge):
        """It is one factor, and nothing else protects the account."""
        body = site.ann.api(OPTIONS, {"email": ANN})[1]
        options = body["options"]
        assert options["authenticatorSelection"]["userVerification"] == "required"
        options["authenticatorSelection"]["userVerification"] = "preferred"
        values = {"email": ANN, "setup": body["setup"], "credential": badge.create(options, ORIGIN)}
        assert refused(site.ann.api(SIGNUP, values)) == (403, "user_not_verified")

    def test_a_key_that_no_login_finds(self, site, phone):
        body = site.ann.api(OPTIONS, {"email": ANN})[1]
        options = body["options"]
        assert options["authenticatorSelection"]["residentKey"] == "required"
        options["authenticatorSelection"].update(residentKey="discouraged", requireResidentKey=False)
        values = {"email": ANN, "setup": body["setup"], "credential": phone.create(options, ORIGIN)}
        assert refused(site.ann.api(SIGNUP, values)) == (403, "not_discoverable")

    def test_a_response_is_accepted_once(self, site, phone):
        begun = begin(site.ann, phone)
        assert site.ann.api(SIGNUP, begun)[0] == 200
        assert refused(site.browser().api(SIGNUP, begun)) == (403, "challenge_used")

    def test_a_response_for_another_address(self, site, phone):
        begun = begin(site.ann, phone)
        assert refused(site.ann.api(SIGNUP, {**begun, "email": BOB})) == (403, "invalid_credential")

    def test_a_response_to_other_options(self, site, phone):
        first, second = begin(site.ann, phone), begin(site.ann, phone)
        mixed = {**first, "credential": second["credential"]}
        assert refused(site.ann.api(SIGNUP, mixed)) == (403, "invalid_credential")
        assert refused(site.ann.api(SIGNUP, {**first, "setup": "nonsense"})) == (403, "invalid_credential")

    def test_options_of_another_browser(self, site, phone):
        begun, mallory = begin(site.browser(), phone), site.browser()
        begin(mallory, phone)
        assert refused(mallory.api(SIGNUP, begun)) == (403, "invalid_credential")
        response = site.browser().post(SIGNUP, **begun)
        assert response.status_code == 403

    def test_tabs_of_one_browser_do_not_disturb_each_other(self, site, phone):
        first, _ = begin(site.ann, phone), begin(site.ann, phone)
        assert site.ann.api(SIGNUP, first)[0] == 200

    def test_a_program_has_no_cookie(self, site, phone):
        program = site.browser()
        program.headers["Authhost-Client"] = "app"
        status, body = sign_up(program, phone)
        assert (status, bool(body["session_token"])) == (200, True)

    def test_old_options(self, site, phone, clock):
        begun = begin(site.ann, phone)
        clock.forward(seconds=301)
        assert refused(site.ann.api(SIGNUP, begun)) == (403, "challenge_expired")

    def test_an_invalid_address(self, site, phone):
        assert refused(sign_up(site.ann, phone, "nobody")) == (400, "invalid_email")

    def test_too_many(self, make_site):
        site = make_site(settings={"rate_limits": True})
        for number in range(100):
            status, body = sign_up(site.browser(), VirtualAuthenticator(), f"ann{number}@example.org")
            if status == 429:
                break
        assert (status, body["code"]) == (429, "rate_limited")

    def test_another_site_cannot_sign_a_person_up(self, site, phone):
        victim = site.browser()
        begun = begin(victim, phone)
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert victim.post(SIGNUP, headers=headers, **begun).status_code == 403
        assert site.count(users) == 0

    def test_a_passkey_of_another_account_stores_nothing(self, site, phone):
        """An authenticator that answers with a credential that it has made before."""
        assert sign_up(site.ann, phone)[0] == 200
        stored = (users, sessions, addresses, tables.authenticator_table, tables.used_challenge_table)
        before, browser = [site.count(each) for each in stored], site.browser()
        begun = begin(browser, phone, BOB)
        digest = sha256(credential_id_of(begun["credential"])).digest()
        with site.host.engine.begin() as connection:
            connection.execute(update(tables.authenticator_table).values(credential_digest=digest))
        assert refused(browser.api(SIGNUP, begun)) == (403, "already_added")
        assert not is_logged_in(browser)
        assert [site.count(each) for each in stored] == before


class TestSwitchedOff:
    def test_it_is_on_by_default(self):
        assert MfaSettings().passkey_signup is True

    @pytest.mark.parametrize("off", ["passkey_signup", "passkey_login", "signup_open"])
    def test_it_is_not_offered(self, make_site, off):
        given = {off: False}
        site = make_site(settings=given) if off == "signup_open" else make_site(**given)
        browser = site.browser()
        titles = [each["title"] for each in browser.page("/signup").get("sections", [])]
        assert "Sign up without a password" not in titles
        assert browser.get(SIGNUP).status_code == 403
        for path, values in ((OPTIONS, {}), (SIGNUP, {"setup": "x", "credential": "{}"})):
            assert refused(browser.api(path, {"email": ANN, **values})) == (403, "passkey_signup_off")


class TestRecovery:
    """Pre-hijacking: somebody signs up with the owner's address and a passkey of their own."""

    @pytest.fixture(params=["optional", "mandatory"])
    def planted(self, request, make_site, phone):
        """A planter's account whose passkey guards it, with recovery codes."""
        site = make_site(policy="required", settings={**MANDATORY, "email_verification": request.param})
        sign_up(site.ann, phone)
        assert site.count(tables.recovery_code_table) == 10
        return site

    def is_gone(self, site, phone):
        for table in (tables.authenticator_table, tables.recovery_code_table, tables.trusted_browser_table):
            assert site.count(table) == 0
        assert site.count(tables.account_table) == 0
        with site.host.request() as request:
            user = request.user_by_email(ANN)
            assert user.login_guards == ()
        assert refused(site.use_key(site.browser(), phone, PASSKEY)) == (403, "unknown_credential")
        assert not is_logged_in(site.ann)

    def test_a_confirmation_in_another_browser(self, planted, phone):
        owner = planted.browser()
        status, body = owner.api("/confirm-email", {"key": planted.recorder.key()})
        assert (status, body["recovered"]) == (200, True)
        self.is_gone(planted, phone)

    def test_a_reset(self, planted, phone):
        reset_password(planted)
        self.is_gone(planted, phone)

    def test_the_owner_is_asked_for_no_factor_of_the_planter(self, make_site, phone):
        """The reset logs in: its login must not wait for what it has just deleted."""
        settings = {"email_verification": "optional", "login_on_password_reset": True}
        site = make_site(policy="required", settings=settings)
        sign_up(site.ann, phone)
        owner = site.browser()
        assert owner.api("/forgot-password", {"email": ANN})[0] == 200
        reset = {"key": site.recorder.key(), "password": OTHER_PASSWORD}
        status, body = owner.api("/reset-password", reset)
        assert (status, body["next"][0]["step"]) == (202, "mfa.enrol")

    def test_a_login_by_a_provider(self, make_site, phone, clock):
        clock.now = datetime.now(UTC)
        with LocalProvider() as provider:
            providers = {name: {**each, "login_by_email": True} for name, each in provider.settings.items()}
            settings = {"email_verification": "optional", "providers": providers}
            site = make_site(policy="required", settings=settings)
            sign_up(site.ann, phone)
            owner = Browser(site.host, provider)
            owner.social(sub="owner", email=ANN, email_verified=True)
            self.is_gone(site, phone)

    def test_a_trusted_browser(self, make_site, phone, badge):
        """A second factor that was used in a browser that the planter trusts."""
        site = make_site(policy="required", settings={"email_verification": "optional"})
        sign_up(site.ann, phone)
        codes = site.ann.api("/mfa/recovery-codes", {})[1]["recovery_codes"]
        with site.host.engine.begin() as connection:
            connection.execute(tables.authenticator_table.update().values(user_verified=False))
        planter = site.browser()
        phone.user_verification = False
        assert site.use_key(planter, phone, PASSKEY)[0] == 202
        assert planter.api("/mfa/verify", {"recovery_code": codes[0], "trust": True})[0] == 200
        assert site.count(tables.trusted_browser_table) == 1
        reset_password(site)
        self.is_gone(site, phone)

    def test_the_owner_can_begin_again(self, planted):
        owner = reset_password(planted)
        mine = VirtualAuthenticator()
        planted.log_in(owner, password=OTHER_PASSWORD)
        # The policy requires a second factor: the owner enrols one of their own.
        answer = owner.api(ENROL, {"credential": planted.create_key(mine, owner, ENROL)})
        assert answer[0] == 200
        assert planted.use_key(planted.browser(), mine, PASSKEY)[0] == 200


class TestAccountWithoutAPassword:
    @pytest.fixture
    def ann(self, waiting, phone):
        sign_up(waiting.ann, phone)
        waiting.ann.api("/confirm-email", {"key": waiting.recorder.key()})
        return waiting

    def key_id(self, site):
        return site.ann.api(AUTHENTICATORS, method="GET")[1]["authenticators"][0]["id"]

    def test_the_last_passkey_cannot_be_removed(self, ann, stick):
        answer = ann.ann.api(REMOVE, {"authenticator_id": self.key_id(ann)})
        assert refused(answer) == (403, "last_login_method")
        with ann.host.request() as request:
            assert request.user_by_email(ANN).login_guards == ()

    def test_a_key_that_cannot_log_in_by_itself_is_none(self, ann, phone, stick):
        first = self.key_id(ann)
        ann.add_key(stick)
        answer = ann.ann.api(REMOVE, {"authenticator_id": first})
        assert refused(answer) == (403, "last_login_method")

    def test_another_passkey_is_one(self, ann, badge):
        first = self.key_id(ann)
        ann.add_key(badge)
        assert ann.ann.api(REMOVE, {"authenticator_id": first})[0] == 200

    def test_a_password_is_one(self, ann):
        assert ann.ann.api("/password/set", {"password": PASSWORD})[0] == 200
        assert ann.ann.api(REMOVE, {"authenticator_id": self.key_id(ann)})[0] == 200
        assert ann.log_in(ann.browser())[0] == 200

    def test_a_reauthentication(self, ann, phone, clock):
        clock.forward(seconds=3600)
        status, body = ann.ann.api("/password/set", {"password": PASSWORD})
        assert (status, body["code"]) == (401, "reauthentication_required")
        assert body["next"] == [{"step": "mfa.reauthenticate", "path": "/account/api/mfa/reauthenticate"}]
        titles = [each["title"] for each in ann.ann.page("/reauthenticate")["sections"]]
        assert "Two-step verification" in titles
        assert ann.use_key(ann.ann, phone, REAUTHENTICATE)[0] == 200
        assert ann.ann.api("/password/set", {"password": PASSWORD})[0] == 200

    def test_no_further_factor_before_the_address_is_verified(self, make_site, phone, badge):
        site = make_site(settings={"email_verification": "optional"})
        sign_up(site.ann, phone)
        answer = site.ann.api(KEYS, method="GET")
        assert refused(answer) == (403, "email_not_verified")


def test_two_signups_with_one_challenge(site, phone, monkeypatch):
    begun, answers, threads = begin(site.ann, phone), [], []
    add_key = authenticators.add_key

    def patched(*arguments, **options):
        if not threads:
            browser = site.browser()
            thread = Thread(target=lambda: answers.append(browser.api(SIGNUP, begun)))
            threads.append(thread)
            thread.start()
            thread.join(0.5)
        return add_key(*arguments, **options)

    monkeypatch.setattr(authenticators, "add_key", patched)
    answers.append(site.ann.api(SIGNUP, begun))
    threads[0].join(30)
    assert sorted(status for status, _ in answers) != [200, 200]
    assert site.count(users) == site.count(tables.authenticator_table) == 1
    with site.host.engine.connect() as connection:
        (user_id,) = connection.execute(select(users.c.id)).scalars()
        assert connection.execute(select(tables.authenticator_table.c.user_id)).scalars().all() == [user_id]
