"""With mandatory verification nobody learns whether an address has an account (ASVS 5.0, 6.3.8)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from authhost.errors import AuthError
from authhost.store.tables import users
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider

TAKEN, FREE, OTHER = "taken@example.org", "free@example.org", "other@example.org"


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def host(make_host, provider, recorder, clock):
    """A site where one address is taken: its owner has verified it."""
    clock.now = datetime.now(UTC)
    host = make_host(email_verification="mandatory", providers=provider.settings, rate_limits=False)
    owner = Browser(host)
    owner("signup", email=TAKEN, password=OTHER_PASSWORD, username="owner")
    owner("confirm_email", key=recorder.key())
    return host


def result_of(action, *arguments, **values):
    """What a caller sees, without random tokens, identifiers and times."""
    try:
        result = action(*arguments, **values)
    except AuthError as error:
        return error.code, str(error), dict(error.fields)
    login = getattr(result, "login", result)
    account = getattr(result, "account", None)
    return (
        type(result).__name__,
        getattr(result, "missing", None),
        login if isinstance(login, bool | None) else (login.user, login.waits_for, len(login.session_token)),
        account and (account.id, account.user_id),
    )


def by_password(browser, email):
    yield result_of(browser, "signup", email=email, password=PASSWORD, username="probe")
    yield result_of(browser, "send_confirmation")
    yield result_of(browser, "send_confirmation", email=email)
    other = Browser(browser.host)
    yield result_of(other, "login", identifier=email, password=PASSWORD)
    yield result_of(other, "login", identifier="probe", password=PASSWORD)
    yield result_of(other, "login", identifier=email, password="a wrong password for both")
    yield result_of(other, "signup", email=OTHER, password=PASSWORD, username="probe")
    yield result_of(other, "change_pending_email", email="next@example.org")
    yield result_of(other, "request_password_reset", email=email)
    yield result_of(other, "signup", email=email, password=PASSWORD)
    # The newest signup with an address is the one that waits.
    yield result_of(other, "login", identifier=email, password=PASSWORD)


def twice_by_password(browser, email):
    yield result_of(browser, "signup", email=email, password=PASSWORD)
    yield result_of(Browser(browser.host), "signup", email=email, password="a second password of theirs")
    for password in (PASSWORD, "a second password of theirs"):
        yield result_of(Browser(browser.host), "login", identifier=email, password=password)


def by_change(browser, email):
    """A waiting account moves to the address, and away from it."""
    yield result_of(browser, "signup", email=OTHER, password=PASSWORD)
    yield result_of(browser, "change_pending_email", email=email)
    yield result_of(Browser(browser.host), "login", identifier=email, password=PASSWORD)
    yield result_of(Browser(browser.host), "login", identifier=OTHER, password=PASSWORD)
    yield result_of(browser, "change_pending_email", email="away@example.org")
    yield result_of(Browser(browser.host), "login", identifier=email, password=PASSWORD)


def by_provider(browser, email):
    for _ in range(2):
        yield result_of(browser.social, sub="thief", email=email, email_verified=False)
    yield result_of(browser.social, sub="thief", email="", email_verified=False)
    yield result_of(browser.social, sub="thief", email=OTHER, email_verified=False)


def by_form(browser, email):
    result = browser.social(sub="shy", email="", email_verified=False)
    yield result.missing
    yield result_of(browser, "social_signup", signup_token=result.signup_token, email=email, username="probe")
    yield result_of(browser.social, sub="shy", email="", email_verified=False)
    yield result_of(browser, "send_confirmation")
    yield result_of(browser, "signup", email=OTHER, password=PASSWORD, username="probe")


def again(browser):
    """Another browser of the same network."""
    other = Browser(browser.host)
    other.ip_address = browser.ip_address
    return other


def by_failures(browser, email):
    """What is counted before a signup counts after it, too."""
    for _ in range(5):
        yield result_of(again(browser), "login", identifier=email, password="a wrong password for both")
    yield result_of(browser, "signup", email=email, password=PASSWORD, username="probe")
    yield result_of(again(browser), "login", identifier=email, password=PASSWORD)
    yield result_of(again(browser), "login", identifier="probe", password=PASSWORD)


def by_failures_of_the_name(browser, email):
    yield result_of(browser, "signup", email=email, password=PASSWORD, username="probe")
    for _ in range(5):
        yield result_of(again(browser), "login", identifier="probe", password="a wrong password for both")
    yield result_of(again(browser), "login", identifier=email, password=PASSWORD)


PROBES = [by_password, twice_by_password, by_change, by_provider, by_form]


@pytest.mark.parametrize("probe", PROBES)
def test_a_taken_and_a_free_address_behave_alike(host, provider, make_host, probe, clock):
    seen = []
    for email in (TAKEN, FREE):
        browser = Browser(host, provider)
        seen.append(list(probe(browser, email)))
        # The next one starts afresh: the signups of this one expire.
        clock.forward(days=8)
        host.delete_expired()
        clock.now = datetime.now(UTC)
    assert seen[0] == seen[1]


@pytest.fixture
def counted(host):
    """Counts the hashes and the statements of a flow."""
    seen = []
    verify = host.services.passwords.verify

    def watched(*arguments):
        seen.append("hash")
        return verify(*arguments)

    host.services.passwords.verify = watched

    def statement(connection, cursor, text, *others):
        if text.split()[0] in ("INSERT", "UPDATE", "DELETE", "SELECT"):
            seen.append(text.split()[0])

    event.listen(host.engine, "before_cursor_execute", statement)

    def count(browser, flow, **values):
        seen.clear()
        result_of(browser, flow, **values)
        return sorted(seen)

    return count


@pytest.mark.parametrize("probe", [by_failures, by_failures_of_the_name])
def test_failures_are_counted_alike(make_host, recorder, probe):
    host = make_host(email_verification="mandatory", rate_limits={"login_failed": "5/5 minute/key+ip"})
    owner = Browser(host)
    owner("signup", email=TAKEN, password=OTHER_PASSWORD, username="owner")
    owner("confirm_email", key=recorder.key())
    seen = []
    for number, email in enumerate((TAKEN, FREE)):
        browser = Browser(host)
        browser.ip_address = f"203.0.113.{number}"
        seen.append(list(probe(browser, email)))
        with host.engine.begin() as connection:
            connection.execute(users.delete().where(users.c.username == "probe"))
    assert seen[0] == seen[1]


def test_a_signup_costs_the_same_statements(host, counted):
    costs = [
        counted(Browser(host), "signup", email=email, password=PASSWORD, username=name)
        for email, name in ((TAKEN, "one"), (FREE, "two"))
    ]
    # The hook `email_confirmation_sent` is not called for the taken one; the recorder writes nothing.
    assert _about(costs[0]) == _about(costs[1])


def _about(cost):
    """An owner's name is read for the mail to the owner."""
    return [each for each in cost if each != "SELECT"]


@pytest.mark.parametrize("wrong", ["a wrong password for both", PASSWORD])
def test_a_login_costs_the_same_hashes(host, counted, wrong):
    for email in (TAKEN, FREE):
        Browser(host)("signup", email=email, password=PASSWORD)
    costs = [
        counted(Browser(host), "login", identifier=email, password=wrong).count("hash")
        for email in (TAKEN, FREE, "unknown@example.org" if wrong != PASSWORD else FREE)
    ]
    assert costs == [2, 2, 2]


def test_the_owner_logs_in_by_one_hash(host, counted):
    Browser(host)("signup", email=TAKEN, password=PASSWORD)
    assert counted(Browser(host), "login", identifier=TAKEN, password=OTHER_PASSWORD).count("hash") == 1


def test_the_owner_who_signs_up_again_is_not_locked_out(host):
    """The same address and the same password: the account that is verified is meant."""
    Browser(host)("signup", email=TAKEN, password=OTHER_PASSWORD)
    assert Browser(host)("login", identifier=TAKEN, password=OTHER_PASSWORD).authenticated


def test_the_owner_connects_a_provider_that_was_tried_before(host, provider, recorder):
    """A signup by a provider with an address that is taken waits; it must not keep the connection."""
    browser = Browser(host, provider)
    assert browser.social(sub="owner", email=TAKEN, email_verified=False).login.waits_for
    browser.forget()
    browser("login", identifier=TAKEN, password=OTHER_PASSWORD)
    browser.social("connect", sub="owner", email=TAKEN, email_verified=False)
    browser.forget()
    assert browser.social(sub="owner", email=TAKEN, email_verified=False).login.authenticated


def test_only_the_owner_is_told(host, recorder):
    count = len(recorder.messages)
    Browser(host)("signup", email=TAKEN, password=PASSWORD)
    assert [(each.kind, each.recipient) for each in recorder.messages[count:]] == [
        ("signup_existing_account", TAKEN)
    ]
