"""Adding, renaming and removing passkeys and security keys, and whether each login asks for one."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from authhost_mfa import tables
from sqlalchemy import select

from authhost.testing import PASSWORD, Browser, VirtualAuthenticator
from mfa.support import ANN, ENROL, KEYS, ORIGIN, REAUTHENTICATE, SESSION, VERIFY, is_logged_in, refused

OVERVIEW = "/mfa/authenticators"


def rows(site):
    with site.host.reader.connect() as connection:
        return connection.execute(
            select(tables.authenticator_table).order_by(tables.authenticator_table.c.created_at)
        ).all()


def listed(browser):
    return browser.api(OVERVIEW, method="GET")[1]["authenticators"]


@pytest.fixture
def ann(site):
    site.sign_up()
    return site


def test_showing_the_page_writes_nothing(ann):
    with ann.statements() as seen:
        page = ann.ann.page(KEYS)
    assert not [each for each in seen if each.split()[0] not in ("SELECT", "PRAGMA")]
    fields = page["forms"][0]["fields"]
    assert [each["type"] for each in fields] == ["text", "checkbox", "public_key_create"]
    options = json.loads(fields[2]["value"])
    assert (options["rp"]["id"], options["user"]["name"]) == ("example.org", ANN)
    assert fields[1]["value"] == ""


def test_what_is_stored(ann, phone):
    assert ann.add_key(phone, name=" My phone ") == []
    (row,) = rows(ann)
    credential = phone.credentials[0]
    assert (row.kind, row.name, row.second_factor) == ("webauthn", "My phone", False)
    assert bytes(row.credential_id) == credential.id
    assert (row.sign_count, row.transports) == (0, "internal")
    assert (row.backup_eligible, row.backed_up, row.user_verified, row.discoverable) == (True,) * 4
    assert row.aaguid == "00000000-0000-0000-0000-000000000000"
    with ann.host.reader.connect() as connection:
        account = connection.execute(select(tables.account_table)).one()
    assert bytes(account.user_handle) == credential.user_handle


def test_a_passkey_that_was_added_for_comfort_does_not_become_required(ann, phone):
    """allauth #4224, better-auth #1676, fluxer #1576: users were locked out."""
    ann.add_key(phone)
    assert ann.log_in(ann.browser())[0] == 200
    assert ann.count(tables.recovery_code_table) == 0
    assert ann.ann.page(KEYS)["sections"][0]["rows"][0]["labels"] == []


def test_a_passkey_is_required_if_the_user_wants_so(ann, phone):
    assert len(ann.add_key(phone, second_factor=True)) == 10
    assert ann.log_in(ann.browser())[0] == 202


def test_a_security_key_that_cannot_log_in_alone_is_a_second_factor(ann, stick):
    assert len(ann.add_key(stick)) == 10
    assert [each["second_factor"] for each in listed(ann.ann)] == [True]
    assert ann.log_in(ann.browser())[0] == 202


def test_several_keys(ann, phone, stick, badge):
    ann.add_key(phone, name="Phone")
    assert len(ann.add_key(stick, name="Stick")) == 10
    assert ann.add_key(badge, name="Badge", second_factor=True) == []
    assert {each["name"] for each in listed(ann.ann)} == {"Phone", "Stick", "Badge"}
    assert len({each.credentials[0].user_handle for each in (phone, stick, badge)}) == 1


def test_a_key_is_registered_once(ann, stick):
    ann.add_key(stick)
    options = ann.ann.api(KEYS, method="GET")[1]["options"]
    assert len(options["excludeCredentials"]) == 1
    assert options["excludeCredentials"][0]["transports"] == ["usb"]
    clone = stick.copy()
    options["excludeCredentials"] = []
    clone.credentials = []
    again = clone.create(options, ORIGIN)
    assert ann.ann.api(KEYS, {"credential": again})[0] == 200  # another credential of the same device


def test_a_credential_of_another_account_is_refused(ann, phone, monkeypatch):
    """WebAuthn 7.1, step 26: a credential belongs to one account."""
    ann.add_key(phone)
    known = phone.credentials[0].id
    monkeypatch.setattr("authhost.testing.authenticator.secrets.token_bytes", lambda count: known)
    bob = ann.browser()
    ann.sign_up("bob@example.org", browser=bob)
    response = ann.create_key(VirtualAuthenticator(), bob)
    assert refused(bob.api(KEYS, {"credential": response})) == (403, "already_added")
    assert ann.count(tables.authenticator_table) == 1


def test_a_response_is_for_one_account_and_one_session(ann, phone):
    response = ann.create_key(phone)
    bob, other = ann.browser(), ann.browser()
    ann.sign_up("bob@example.org", browser=bob)
    ann.log_in(other)
    for browser in (bob, other):
        assert refused(browser.api(KEYS, {"credential": response})) == (403, "invalid_credential")
    assert ann.ann.api(KEYS, {"credential": response})[0] == 200
    assert refused(ann.ann.api(KEYS, {"credential": response})) == (403, "challenge_used")
    assert ann.count(tables.authenticator_table) == 1


def test_it_requires_a_recent_login_and_a_verified_address(site, phone, clock):
    site.sign_up(verify=False)
    assert refused(site.ann.api(KEYS, method="GET")) == (403, "email_not_verified")
    assert refused(site.ann.api(KEYS, {"credential": "{}"})) == (403, "email_not_verified")
    clock.forward(minutes=6)
    assert refused(site.ann.api(KEYS, method="GET")) == (401, "reauthentication_required")
    assert refused(site.ann.api(KEYS, {"credential": "{}"})) == (401, "reauthentication_required")


def test_it_requires_the_second_factor(protected, phone):
    browser = protected.half()
    protected.verify(browser, trust=True)
    browser.api("/logout", {})
    assert protected.log_in(browser)[0] == 200
    response = protected.create_key(phone, browser)
    assert refused(browser.api(KEYS, {"credential": response})) == (403, "second_factor_required")
    page = browser.page(KEYS)
    assert (page["forms"], page["links"][0]["target"]) == ([], "/mfa/reauthenticate")


def test_it_never_requires_a_password_that_the_user_does_not_have(make_site, openid_provider, phone):
    """better-auth #1279, and allauth 65.11.1: an account without a password has no blank one."""
    site = make_site(settings={"providers": openid_provider.settings})
    browser = Browser(site.host, openid_provider)
    browser.social(sub="ann", email=ANN, email_verified=True)
    site.ann.cookies[SESSION] = browser.token
    site.add_key(phone)
    for password in ("", " ", "password"):
        assert site.log_in(site.browser(), password=password)[0] != 200
    assert site.use_key(site.browser(), phone, "/mfa/passkey")[0] == 200


def test_the_page_of_the_form(ann, phone):
    field = ann.ann.page(KEYS)["forms"][0]["fields"][2]
    response = phone.create(field["value"], ORIGIN)
    page = ann.ann.post(KEYS, name="Phone", second_factor="on", credential="{}")
    assert page.status_code == 403
    assert "form-1-credential-error" in page.body.decode()
    page = ann.ann.post(KEYS, name="Phone", second_factor="on", credential=response)
    assert "They are not shown again." in page.body.decode()
    row = ann.ann.page(KEYS)["sections"][0]["rows"][0]
    assert (row["title"], row["labels"]) == ("Phone", ["Asked at every login"])
    overview = ann.ann.page(OVERVIEW)["sections"][1]
    assert overview["rows"][0]["title"] == "Phone"
    assert overview["links"][0]["target"] == KEYS


def test_rename(ann, phone):
    ann.add_key(phone, name="Phone")
    identifier = listed(ann.ann)[0]["id"]
    assert ann.ann.post(f"{KEYS}/rename", authenticator_id=identifier, name="Old").status_code == 303
    assert [each["name"] for each in listed(ann.ann)] == ["Old"]
    values = {"authenticator_id": identifier, "name": "x" * 101}
    assert ann.ann.api(f"{KEYS}/rename", values)[0] == 400
    assert ann.ann.api(f"{KEYS}/rename", {**values, "name": ""})[0] == 200
    assert ann.ann.page(KEYS)["sections"][0]["rows"][0]["title"] == "Passkey or security key"


def test_nobody_changes_a_key_of_another_user(ann, phone):
    ann.add_key(phone, name="Phone")
    mallory = ann.browser()
    ann.sign_up("mallory@example.org", browser=mallory)
    for identifier in (listed(ann.ann)[0]["id"], "x"):
        values = {"authenticator_id": identifier}
        for path in (f"{KEYS}/rename", f"{KEYS}/second-factor", f"{OVERVIEW}/remove"):
            assert refused(mallory.api(path, values)) == (403, "not_found")
        values["second_factor"] = True
        assert refused(mallory.api(f"{KEYS}/second-factor", values)) == (403, "not_found")
    assert ann.log_in(ann.browser(), "mallory@example.org")[0] == 200
    assert [(each.name, each.second_factor) for each in rows(ann)] == [("Phone", False)]


@pytest.mark.parametrize("action", ["rename", "second-factor"])
def test_an_app_has_neither_a_name_nor_a_choice(protected, action):
    """Otherwise no login asks for the app, and no page shows or changes that."""
    values = {"name": "App"} if action == "rename" else {"second_factor": False}
    (app,) = listed(protected.ann)
    answer = protected.ann.api(f"{KEYS}/{action}", {"authenticator_id": app["id"], **values})
    assert refused(answer) == (403, "not_found")
    assert protected.log_in(protected.browser())[0] == 202
    assert protected.count(tables.recovery_code_table) == 10


def test_the_choice_can_be_changed_later(ann, phone):
    ann.add_key(phone)
    values = {"authenticator_id": listed(ann.ann)[0]["id"]}
    status, body = ann.ann.api(f"{KEYS}/second-factor", {**values, "second_factor": True})
    assert (status, len(body["recovery_codes"])) == (200, 10)
    assert ann.log_in(ann.browser())[0] == 202
    page = ann.ann.page(KEYS)
    form = page["sections"][0]["rows"][0]["forms"][1]
    assert form["submit"] == "Do not ask for it at every login"
    sent = {each["name"]: each["value"] for each in form["fields"]}
    assert ann.ann.post(f"{KEYS}/second-factor", **sent).status_code == 303
    assert ann.log_in(ann.browser())[0] == 200
    assert ann.count(tables.recovery_code_table) == 0
    form = ann.ann.page(KEYS)["sections"][0]["rows"][0]["forms"][1]
    sent = {each["name"]: each["value"] for each in form["fields"]}
    assert "They are not shown again." in ann.ann.post(f"{KEYS}/second-factor", **sent).body.decode()


def test_the_choice_needs_the_second_factor(ann, phone):
    ann.add_key(phone, second_factor=True)
    browser = ann.half()
    ann.use_key(browser, phone, trust=True)
    browser.api("/logout", {})
    assert ann.log_in(browser)[0] == 200
    values = {"authenticator_id": listed(browser)[0]["id"]}
    assert refused(browser.api(f"{KEYS}/second-factor", values)) == (403, "second_factor_required")
    assert rows(ann)[0].second_factor
    values["name"] = "Not my phone"
    assert refused(browser.api(f"{KEYS}/rename", values)) == (403, "second_factor_required")
    assert rows(ann)[0].name == ""


def test_a_passkey_that_the_policy_asks_for_protects_the_authenticators_too(ann, phone, make_site, clock):
    """Somebody with the password in a trusted browser, or in a session from before the policy."""
    ann.add_key(phone)
    site = make_site(policy="required", settings={"database_url": ann.host.settings.database_url})
    clock.forward(minutes=16)
    browser = site.browser()
    browser.cookies = ann.ann.cookies
    assert browser.api("/reauthenticate", {"password": PASSWORD})[0] == 200
    options = browser.api(KEYS, method="GET")[1]
    values = {"credential": VirtualAuthenticator().create(options["options"], ORIGIN)}
    assert refused(browser.api(KEYS, values)) == (403, "second_factor_required")
    removed = browser.api(f"{OVERVIEW}/remove", {"authenticator_id": listed(browser)[0]["id"]})
    assert refused(removed) == (403, "second_factor_required")
    assert site.use_key(browser, phone, REAUTHENTICATE)[0] == 200
    values = {"credential": VirtualAuthenticator().create(options["options"], ORIGIN)}
    assert browser.api(KEYS, values)[0] == 200


def test_after_the_removal_of_the_last_second_factor_the_login_is_as_before(ann, phone, stick):
    ann.add_key(phone)
    ann.add_key(stick)
    before = {each["second_factor"]: each["id"] for each in listed(ann.ann)}
    assert ann.ann.post(OVERVIEW, authenticator_id=before[True]).status_code == 303
    assert ann.log_in(ann.browser())[0] == 200
    assert ann.count(tables.recovery_code_table) == 0
    assert [each["second_factor"] for each in listed(ann.ann)] == [False]
    assert ann.ann.post(OVERVIEW, authenticator_id=before[False]).status_code == 303
    assert ann.log_in(ann.browser())[0] == 200
    assert ann.count(tables.authenticator_table) == 0


def test_one_of_two_second_factors_can_go(ann, phone, stick):
    ann.add_key(stick)
    ann.add_key(phone, second_factor=True)
    identifier = next(each["id"] for each in listed(ann.ann))
    ann.ann.api(f"{OVERVIEW}/remove", {"authenticator_id": identifier})
    assert ann.log_in(ann.browser())[0] == 202
    assert ann.count(tables.recovery_code_table) == 10


class TestRequired:
    """The policy requires a second factor of everybody."""

    @pytest.fixture
    def site(self, make_site):
        return make_site(policy="required")

    def begin(self, site):
        site.sign_up()
        browser = site.browser()
        assert site.log_in(browser)[0] == 202
        return browser

    def test_a_passkey_is_enrolled_at_the_login(self, site, phone):
        browser = self.begin(site)
        response = site.create_key(phone, browser, ENROL)
        status, body = browser.api(ENROL, {"credential": response, "name": "Phone"})
        assert (status, body["authenticated"], len(body["recovery_codes"])) == (200, True, 10)
        assert [(each.name, each.second_factor) for each in rows(site)] == [("Phone", True)]
        with site.host.request(session_token=browser.cookies[SESSION]) as request:
            assert [(each.method, each.factors) for each in request.authentication] == [
                ("password", ("knowledge",)),
                ("webauthn", ("possession", "inherence")),
            ]
        other = site.browser()
        assert site.log_in(other)[0] == 202
        assert site.use_key(other, phone)[0] == 200

    def test_the_page(self, site, phone):
        browser = self.begin(site)
        page = browser.page(ENROL)
        assert [each["title"] for each in page["forms"]] == ["Authenticator app", "Passkey or security key"]
        refused_page = browser.post(ENROL, setup=page["forms"][0]["fields"][0]["value"], code="000000")
        assert "form-1-code-error" in refused_page.body.decode()
        assert "form-2-credential-error" in browser.post(ENROL, credential="{}").body.decode()
        options = browser.page(ENROL)["forms"][1]["fields"][1]["value"]
        shown = browser.post(ENROL, credential=phone.create(options, ORIGIN))
        assert "They are not shown again." in shown.body.decode()
        assert is_logged_in(browser)

    def test_a_response_is_for_one_login(self, site, phone):
        response = site.create_key(phone, self.begin(site), ENROL)
        other = site.browser()
        site.host.clock.forward(seconds=1)
        site.log_in(other)
        assert refused(other.api(ENROL, {"credential": response})) == (403, "invalid_credential")
        assert site.count(tables.authenticator_table) == 0

    def test_the_checkbox_is_selected(self, site, phone):
        browser = self.begin(site)
        browser.api(ENROL, {"credential": site.create_key(phone, browser, ENROL)})
        assert browser.page(KEYS)["forms"][0]["fields"][1]["value"] == "on"

    def test_the_last_second_factor_stays(self, site, phone, stick):
        browser = self.begin(site)
        browser.api(ENROL, {"credential": site.create_key(phone, browser, ENROL)})
        values = {"authenticator_id": listed(browser)[0]["id"]}
        policy = (403, "second_factor_required_by_policy")
        assert refused(browser.api(f"{KEYS}/second-factor", values)) == policy
        assert refused(browser.api(f"{OVERVIEW}/remove", values)) == policy
        site.add_key(stick, browser)
        assert browser.api(f"{KEYS}/second-factor", values)[0] == 200


def test_expired_challenges_are_deleted(ann, phone, clock):
    ann.add_key(phone)
    for _ in range(3):
        assert ann.use_key(ann.browser(), phone, "/mfa/passkey")[0] == 200
    assert ann.count(tables.used_challenge_table) == 4
    clock.forward(seconds=timedelta(minutes=7).total_seconds())
    assert ann.use_key(ann.browser(), phone, "/mfa/passkey")[0] == 200
    assert ann.count(tables.used_challenge_table) == 1


@pytest.mark.parametrize("name", ["Lap\ntop", " Lap\x07top ", "Lap\u202etop", "Lap\ttop\r\n"])
def test_a_name_is_one_line_that_can_be_shown(site, phone, name):
    """A terminal and a page show it as it is."""
    site.sign_up()
    site.add_key(phone, name=name)
    (found,) = site.ann.api(OVERVIEW, method="GET")[1]["authenticators"]
    assert found["name"] == "Lap top"
    values = {"authenticator_id": found["id"], "name": name + "\x1b[31m"}
    assert site.ann.api(f"{KEYS}/rename", values)[0] == 200
    (found,) = site.ann.api(OVERVIEW, method="GET")[1]["authenticators"]
    assert found["name"] in ("Lap top [31m", "Lap top[31m")


@pytest.mark.parametrize("path", [VERIFY, REAUTHENTICATE])
def test_an_empty_form_of_a_key_says_what_is_needed(site, stick, path):
    """Such as without JavaScript."""
    site.sign_up()
    site.add_key(stick, second_factor=True)
    browser = site.half() if path == VERIFY else site.ann
    for values in ({"credential": ""}, {}):
        status, body = browser.api(path, values)
        assert (status, body["plugin_code"], body["field"]) == (403, "missing_credential", "credential")
        assert "JavaScript" in body["title"]
    assert "JavaScript" in browser.post(path, credential="").body.decode()


def test_an_empty_form_of_a_key_at_the_enrolment(make_site):
    site = make_site(policy="required")
    site.sign_up()
    browser = site.browser()
    site.log_in(browser)
    status, body = browser.api("/mfa/enrol", {"name": "Phone"})
    assert (status, body["plugin_code"]) == (403, "missing_credential")
