"""The second factor as a step of every login."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Actor, LoginStep, hookimpl
from authhost_mfa import tables
from authhost_mfa.policy import proves_two_factors
from sqlalchemy import update

from authhost.records import Authentication
from authhost.store.tables import addresses, pending_logins, sessions
from authhost.testing import OTHER_PASSWORD, PASSWORD, Browser
from authhost.testing.web_client import codes
from mfa.support import ANN, SESSION, VERIFY, Site, is_logged_in, refused

OFFERED = ["totp", "recovery_code"]


def test_a_login_without_a_second_factor_is_as_before(site):
    site.sign_up()
    other = site.browser()
    assert site.log_in(other)[0] == 200
    assert is_logged_in(other)


def test_a_login_without_a_guard_costs_no_statement(make_site, make_host, recorder):
    with_plugin = make_site()
    without = Site(make_host(base_url="https://example.org"), recorder)
    counts = []
    for number, site in enumerate((with_plugin, without)):
        site.sign_up(f"ann{number}@example.org")
        with site.statements() as seen:
            assert site.log_in(site.browser(), f"ann{number}@example.org")[0] == 200
        counts.append(len(seen))
        assert not [each for each in seen if "mfa" in each]
    assert counts[0] == counts[1]


def test_until_the_last_step_there_is_no_session_no_cookie_and_no_user_logged_in(protected):
    """better-auth GHSA-xg6x-h9c9-2m83: a session existed before the second factor."""
    protected.recorder.clear()
    before = protected.count(sessions)
    browser = protected.half()
    assert protected.count(sessions) == before
    assert SESSION not in browser.cookies
    assert "user_logged_in" not in protected.recorder.names
    assert not is_logged_in(browser)
    # The token of the pending login is no session token.
    thief = protected.browser()
    thief.cookies[SESSION] = next(iter(browser.cookies.values()))
    assert not is_logged_in(thief)
    status, body = protected.verify(browser)
    assert (status, body["authenticated"], body["user"]["email"]) == (200, True, ANN)
    assert protected.recorder.names.count("user_logged_in") == 1
    assert is_logged_in(browser)


def test_the_session_has_both_authentications(protected):
    browser = protected.half()
    protected.verify(browser)
    with protected.host.request(session_token=browser.cookies[SESSION]) as request:
        assert [(each.method, each.factors) for each in request.authentication] == [
            ("password", ("knowledge",)),
            ("totp", ("possession",)),
        ]


def test_the_pages(protected):
    browser = protected.browser()
    response = browser.post("/login", identifier=ANN, password=PASSWORD)
    assert response.headers["Location"] == f"/account{VERIFY}"
    page = browser.page(VERIFY)
    assert [form["title"] for form in page["forms"]] == ["Authenticator app", "Recovery code"]
    response = browser.post(VERIFY, code="000000")
    assert (response.status_code, codes(response)) == (403, [])
    assert "form-1-code-error" in response.body.decode()
    response = browser.post(VERIFY, recovery_code="x")
    assert "form-2-recovery_code-error" in response.body.decode()
    response = browser.post(VERIFY, code=protected.app.next_code())
    assert response.headers["Location"] == "/account/"
    assert is_logged_in(browser)


def test_the_page_that_was_wanted_is_reached_after_the_code(protected):
    browser = protected.browser()
    response = browser.post("/login?next=/account/emails", identifier=ANN, password=PASSWORD)
    assert response.headers["Location"] == f"/account{VERIFY}?next=%2Faccount%2Femails"
    action = browser.page(f"{VERIFY}?next=%2Faccount%2Femails")["forms"][0]["action"]
    response = browser.post(action, code=protected.app.next_code())
    assert response.headers["Location"] == "/account/emails"


@pytest.mark.parametrize(
    "path",
    ["/mfa/authenticators", "/mfa/totp", "/mfa/recovery-codes", "/mfa/trusted-browsers", "/mfa/enrol"],
)
def test_while_a_step_waits_enrolling_listing_and_deleting_require_a_login(protected, path):
    """AthenaNetworks/mymate #42: the password alone, then one's own key, then the victim's deleted."""
    browser = protected.half()
    for response in (browser.get(path), browser.post(path)):
        assert response.headers["Location"].startswith("/account/login")
    for method in ("GET", "POST"):
        status, body = browser.api(path, method=method)
        assert (status, body["code"]) in [(401, "login_required"), (405, "method_not_allowed")]
    assert browser.api("/mfa/authenticators/remove", {"authenticator_id": "x"})[0] == 401
    assert browser.api("/mfa/reauthenticate", {"code": protected.app.next_code()})[0] == 401


def test_the_password_alone_tells_only_the_offered_methods(protected):
    browser = protected.browser()
    status, body = protected.log_in(browser)
    waiting = body["next"][0]
    assert (status, waiting["step"], waiting["methods"]) == (202, "mfa.second_factor", OFFERED)
    assert body["user"] is None
    text = browser.get(VERIFY).body.decode()
    for secret in (ANN, protected.app.secret.hex()):
        assert secret not in text


def test_a_wrong_password_tells_nothing(protected):
    known = protected.log_in(protected.browser(), password=OTHER_PASSWORD)
    unknown = protected.log_in(protected.browser(), "bob@example.org")
    assert known == unknown


@pytest.mark.parametrize("logs_in", [False, True])
def test_a_password_reset_does_not_bypass_the_second_factor(make_site, logs_in):
    """ASVS 5.0, 6.4.3."""
    site = make_site(settings={"login_on_password_reset": logs_in})
    site.sign_up()
    site.enrol()
    browser = site.browser()
    browser.api("/forgot-password", {"email": ANN})
    values = {"key": site.recorder.key(), "password": OTHER_PASSWORD}
    body = browser.api("/reset-password", values)[1]
    if not logs_in:
        assert body["next"][0]["step"] == "login"
        body = site.log_in(browser, password=OTHER_PASSWORD)[1]
    assert body["next"][0]["step"] == "mfa.second_factor"
    assert not is_logged_in(browser)
    status, body = site.verify(browser)
    assert (status, body["authenticated"]) == (200, True)


def test_a_confirmation_of_an_address_is_asked_too(make_site):
    """A login that waits for its address goes on to the second factor."""
    site = make_site(settings={"email_verification": "mandatory", "login_on_email_confirmation": True})
    site.sign_up()
    site.enrol()
    with site.host.engine.begin() as connection:
        connection.execute(update(addresses).values(verified=False))
    browser = site.browser()
    status, body = site.log_in(browser)
    assert (status, body["next"][0]["step"]) == (202, "email_verification")
    status, body = browser.api("/confirm-email", {"key": site.recorder.key()})
    assert body["next"][0]["step"] == "mfa.second_factor"
    assert not is_logged_in(browser)


def test_a_social_login_is_asked_too(make_site, openid_provider):
    site = make_site(settings={"providers": openid_provider.settings})
    browser = Browser(site.host, openid_provider)
    result = browser.social(sub="ann", email=ANN, email_verified=True)
    assert result.login.user is not None
    site.ann.cookies[SESSION] = browser.token
    site.enrol()
    again = Browser(site.host, openid_provider)
    result = again.social(sub="ann", email=ANN, email_verified=True)
    assert (result.login.user, result.login.waits_for) == (None, "mfa.second_factor")


def test_the_session_of_another_user_neither_silences_the_step_nor_is_ended_by_it(protected):
    """better-auth #9203: another user's session in the browser silenced the challenge."""
    browser = protected.browser()
    protected.sign_up("bob@example.org", browser=browser)
    status, body = protected.log_in(browser)
    assert (status, body["authenticated"]) == (202, True)
    assert browser.api("/session", method="GET")[1]["user"]["email"] == "bob@example.org"
    assert protected.verify(browser, "000000")[0] == 403
    assert browser.api("/session", method="GET")[1]["user"]["email"] == "bob@example.org"
    assert protected.verify(browser)[0] == 200
    assert browser.api("/session", method="GET")[1]["user"]["email"] == ANN


def test_a_code_is_accepted_once(protected):
    code = protected.app.next_code()
    assert protected.verify(protected.half(), code)[0] == 200
    other = protected.half()
    assert refused(protected.verify(other, code)) == (403, "wrong_code")
    assert protected.verify(other)[0] == 200


def test_the_code_of_the_enrolment_is_used_up(protected):
    assert refused(protected.verify(protected.half(), protected.app.code())) == (403, "wrong_code")


def test_a_secret_that_no_key_decrypts_refuses_its_codes(protected, make_site, caplog):
    settings = {"database_url": protected.host.settings.database_url, "encryption_keys": ("k" * 40,)}
    site = make_site(settings=settings)
    browser = site.half()
    status, body = browser.api(VERIFY, {"code": protected.app.next_code()})
    assert (status, body["plugin_code"]) == (403, "wrong_code")
    assert "cannot be decrypted" in caplog.text
    assert browser.api(VERIFY, {"recovery_code": protected.codes[0]})[0] == 200


def test_a_code_of_the_period_before_is_accepted_but_not_after_a_newer_one(protected, clock):
    clock.forward(seconds=90)
    older, newer = protected.app.code(-1), protected.app.code()
    assert protected.verify(protected.half(), older)[0] == 200
    assert protected.verify(protected.half(), newer)[0] == 200
    clock.forward(seconds=30)
    assert refused(protected.verify(protected.half(), newer)) == (403, "wrong_code")


def test_a_pending_login_is_used_once(protected):
    """better-auth GHSA-cq3f-vc6p-68fh: a pending thing is claimed once."""
    browser = protected.half()
    copy = protected.browser()
    copy.cookies = dict(browser.cookies)
    assert protected.verify(browser)[0] == 200
    assert refused(protected.verify(copy)) == (401, "login_required")
    assert protected.count(pending_logins) == 0


def test_a_pending_login_of_another_user_is_not_completed_by_ones_own_code(protected):
    mallory = protected.browser()
    victim_app = protected.app
    protected.sign_up("mallory@example.org", browser=mallory)
    protected.enrol(mallory)
    assert refused(protected.verify(protected.half(), protected.app.next_code())) == (403, "wrong_code")
    protected.app = victim_app
    assert protected.verify(protected.half())[0] == 200


def test_a_changed_password_ends_the_pending_login(protected):
    browser = protected.half()
    values = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert protected.ann.api("/password/change", values)[0] == 200
    assert protected.verify(browser)[0] == 401


def test_a_pending_login_expires(protected, clock):
    browser = protected.half()
    clock.forward(seconds=3600)
    assert protected.verify(browser)[0] == 401


def test_the_method_that_was_used_last_comes_first(protected, stick):
    protected.add_key(stick)

    def offered():
        return [form["fields"][0]["name"] for form in protected.half().page(VERIFY)["forms"]]

    assert protected.verify(protected.half())[0] == 200
    assert offered() == ["code", "credential", "recovery_code"]
    assert protected.use_key(protected.half(), stick)[0] == 200
    assert offered() == ["credential", "code", "recovery_code"]
    assert protected.verify(protected.half(), recovery_code=protected.codes[0])[0] == 200
    assert offered() == ["credential", "code", "recovery_code"]


def test_a_recovery_code_is_not_offered_first_though_it_was_stored_as_the_last_method(protected):
    with protected.host.engine.begin() as connection:
        connection.execute(update(tables.account_table).values(last_kind="recovery_code"))
    assert [form["fields"][0]["name"] for form in protected.half().page(VERIFY)["forms"]] == [
        "code",
        "recovery_code",
    ]


def test_a_deactivated_account_cannot_complete_its_login(protected):
    browser = protected.half()
    with protected.host.request() as request:
        request.accounts.deactivate(request.user_by_email(ANN).id)
    assert protected.verify(browser)[0] == 401
    assert not is_logged_in(browser)


def test_without_the_plugin_nobody_logs_in_to_a_protected_account(protected, make_host):
    url = str(protected.host.settings.database_url)
    site = Site(make_host(database_url=url, base_url="https://example.org"), protected.recorder)
    status, body = site.log_in(site.browser())
    assert (status, body["code"]) == (503, "login_unavailable")
    allowed = make_host(database_url=url, base_url="https://example.org", login_without_plugins=("mfa",))
    site = Site(allowed, protected.recorder)
    assert site.log_in(site.browser())[0] == 200


def test_while_the_plugin_is_blocked_nobody_logs_in_to_a_protected_account(protected):
    plugins, root = protected.host.plugins, Actor("operator", name="root")
    half = protected.half()
    plugins.block("mfa", reason="it fails", actor=root)
    status, body = protected.log_in(protected.browser())
    assert (status, body["code"]) == (503, "login_unavailable")
    assert protected.verify(half)[0] == 404
    assert not is_logged_in(half)
    plugins.unblock("mfa", actor=root)
    assert protected.verify(half)[0] == 200
    assert is_logged_in(half)


class Terms:
    """Another plugin with a step."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("accept", "/accept")]


def test_a_step_of_another_plugin_is_still_needed(make_site):
    site = make_site()
    site.sign_up()
    site.enrol()
    both = make_site(plugins={"terms": Terms()}, settings={"database_url": site.host.settings.database_url})
    both.app = site.app
    browser = both.browser()
    steps = [each["step"] for each in both.log_in(browser)[1]["next"][:2]]
    assert sorted(steps) == ["mfa.second_factor", "terms.accept"]
    status, body = both.verify(browser)
    assert (status, body["authenticated"], body["next"][0]["step"]) == (202, False, "terms.accept")
    assert not is_logged_in(browser)


def test_what_proves_two_factors(clock):
    now = clock()
    password = Authentication("password", now, None, ("knowledge",))
    app = Authentication("totp", now, None, ("possession",))
    passkey = Authentication("webauthn", now, None, ("possession", "inherence"))
    key = Authentication("webauthn", now, None, ("possession",))
    provider = Authentication("socialaccount", now, "corp")
    strong_provider = Authentication("socialaccount", now, "corp", ("knowledge", "possession"))
    twice = Authentication("x", now, None, ("possession", "possession"))
    assert all(map(proves_two_factors, [(passkey,), (strong_provider,), (password, app), (provider, app)]))
    reset = Authentication("password_reset", now, None, ("possession",))
    mail = Authentication("email_confirmation", now, None, ("possession",))
    for not_enough in [(), (password,), (key,), (provider,), (twice,), (password, reset), (mail, key)]:
        assert not proves_two_factors(not_enough)
