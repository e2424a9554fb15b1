"""A login that waits for the confirmation of its address."""

from __future__ import annotations

import pytest
from passlib.hash import django_pbkdf2_sha256
from sqlalchemy import func, select, update

from authhost.errors import EmailNotFound, InvalidKey, LoginRequired
from authhost.security.keys import digest
from authhost.store.tables import addresses, pending_logins, users
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.browser import Browser

ANN, BOB, TYPO = "ann@example.org", "bob@example.org", "amn@example.org"


@pytest.fixture
def host(make_host):
    return make_host(email_verification="mandatory", login_on_email_confirmation=True, rate_limits=False)


@pytest.fixture
def browser(host):
    return Browser(host)


def waiting(host):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(pending_logins)).scalar_one()


def who(browser):
    with browser.request() as request:
        return request.user and request.user.email


@pytest.fixture
def logged_in(browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    browser("confirm_email", key=recorder.key())
    assert who(browser) == ANN
    return browser


@pytest.mark.parametrize("flow", ["signup", "login"])
def test_a_login_that_waits_does_not_affect_who_is_logged_in(host, logged_in, recorder, flow):
    Browser(host)("signup", email=BOB, password=PASSWORD)
    recorder.calls.clear()
    values = {"email": TYPO} if flow == "signup" else {"identifier": BOB}
    result = logged_in(flow, password=PASSWORD, **values)
    assert result.waits_for == "email_verification"
    assert who(logged_in) == ANN
    assert "user_logged_out" not in recorder.names
    logged_in("confirm_email", key=recorder.key())
    assert recorder.names[-1] == "user_logged_in"
    assert "user_logged_out" in recorder.names
    assert who(logged_in) in (BOB, TYPO)


def test_it_works_with_one_cookie(host, run, recorder):
    """Where nobody is logged in, the token of the login that waits may go where a session's goes."""
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    assert run(host, "confirm_email", token, key=recorder.key()).login.authenticated


def test_it_works_once(host, browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    token = browser.pending
    browser("confirm_email", key=recorder.key())
    browser("add_email", email=BOB)
    key = recorder.key()
    with host.request(pending_token=token, session_token=browser.token) as request:
        assert host.account.confirm_email(request, key=key).login is None
    assert waiting(host) == 0


def test_it_is_bound_to_one_address(host, browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    browser("change_pending_email", email=BOB)
    first = recorder.key()
    browser("confirm_email", key=first)
    assert who(browser) == BOB


def test_it_is_bound_to_the_password(host, browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    key = recorder.key()
    owner = Browser(host)
    owner("request_password_reset", email=ANN)
    owner("reset_password", key=recorder.key(), password=OTHER_PASSWORD)
    with pytest.raises(InvalidKey):
        browser("confirm_email", key=key)
    with pytest.raises(LoginRequired):
        browser("send_confirmation")


def test_a_login_elsewhere_stores_no_newer_hash(host, browser, recorder):
    """With another hash the browser of the signup is not recognised, and the password would be removed."""
    browser("signup", email=ANN, password=PASSWORD)
    key = recorder.key()
    weak = django_pbkdf2_sha256.using(rounds=1).hash(PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(update(users).values(password=weak))
        connection.execute(update(pending_logins).values(password_digest=digest(weak)))
    elsewhere = Browser(host)
    assert elsewhere("login", identifier=ANN, password=PASSWORD).waits_for == "email_verification"
    with host.engine.connect() as connection:
        assert connection.execute(select(users.c.password)).scalar_one() == weak
    browser.device_token = None
    result = browser("confirm_email", key=key)
    assert (result.recovered, who(browser)) == (False, ANN)


def test_it_completes_within_its_time(host, browser, recorder, clock):
    browser("signup", email=ANN, password=PASSWORD)
    clock.forward(minutes=16)
    result = browser("confirm_email", key=recorder.key())
    assert (result.login, result.recovered) == (None, False)


def test_a_logout_ends_it(host, browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    browser("logout")
    assert waiting(host) == 0
    assert browser("confirm_email", key=recorder.key()).login is None


def test_it_is_no_session(host, browser):
    browser("signup", email=ANN, password=PASSWORD)
    assert who(browser) is None
    for flow, values in (
        ("list_emails", {}),
        ("add_email", {"email": BOB}),
        ("change_password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}),
        ("end_other_sessions", {}),
        ("deactivate", {}),
    ):
        with pytest.raises(LoginRequired):
            browser(flow, **values)


# A mistyped address.


def test_the_confirmation_is_sent_again(browser, recorder):
    browser("signup", email=ANN, password=PASSWORD)
    assert browser("send_confirmation") is True
    assert recorder.messages[-1].recipient == ANN
    with pytest.raises(EmailNotFound):
        browser("send_confirmation", email=BOB)
    browser("confirm_email", key=recorder.key())
    assert who(browser) == ANN


def test_a_mistyped_address_is_replaced(host, browser, recorder):
    browser("signup", email=TYPO, password=PASSWORD, username="ann")
    wrong = recorder.key()
    recorder.calls.clear()
    result = browser("change_pending_email", email=ANN)
    assert (result.waits_for, result.user) == ("email_verification", None)
    assert recorder.names == ["email_changed", "email_confirmation_sent"]
    assert recorder.messages[-1].recipient == ANN
    with pytest.raises(InvalidKey):
        Browser(host)("confirm_email", key=wrong)
    browser("confirm_email", key=recorder.key())
    assert who(browser) == ANN


def test_a_later_login_replaces_it_too(host, browser, recorder):
    browser("signup", email=TYPO, password=PASSWORD, username="ann")
    later = Browser(host)
    assert later("login", identifier="ann", password=PASSWORD).waits_for
    later("change_pending_email", email=ANN)
    later("confirm_email", key=recorder.key())
    assert who(later) == ANN


def test_the_address_is_not_replaced_without_a_login_that_waits(host, browser, recorder, logged_in):
    for each in (browser, logged_in, Browser(host)):
        with pytest.raises(LoginRequired):
            each("change_pending_email", email=BOB)


def test_a_verified_address_is_not_replaced(host, browser, recorder):
    """The login waits for a second address; the password alone does not change the account."""
    browser("signup", email=ANN, password=PASSWORD)
    browser("confirm_email", key=recorder.key())
    browser("add_email", email=BOB)
    other = Browser(host)
    with host.engine.begin() as connection:
        connection.execute(addresses.update().where(addresses.c.email == BOB).values(claim_key=BOB))
        connection.execute(addresses.update().values(primary_of=None))
        row = addresses.update().where(addresses.c.email == BOB)
        connection.execute(row.values(primary_of=addresses.c.user_id))
    assert other("login", identifier=BOB, password=PASSWORD).waits_for
    with pytest.raises(LoginRequired):
        other("change_pending_email", email=TYPO)
