"""An account belongs to the owner of its mailbox: what somebody else prepared in it does not last.

The five classes of pre-hijacking are those of Sudhodanan and Paverd, "Pre-hijacked accounts" (2022).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from authhost_hookspecs import hookimpl
from sqlalchemy import func, select

from authhost.errors import AuthError, InvalidCredentials, InvalidKey, InvalidState, LoginRequired
from authhost.store.tables import addresses, confirmations, pending_logins, social_accounts, users
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider

OWNER, PLANTER, SECOND = "owner@example.org", "planter@evil.example", "owner@work.example.org"
MODES = ["none", "optional", "mandatory"]
only_optional = pytest.mark.parametrize("mode", ["optional"], indirect=True)
only_mandatory = pytest.mark.parametrize("mode", ["mandatory"], indirect=True)
not_mandatory = pytest.mark.parametrize("mode", ["none", "optional"], indirect=True)
with_confirmation = pytest.mark.parametrize("mode", ["optional", "mandatory"], indirect=True)


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def make(make_host, provider, clock):
    clock.now = datetime.now(UTC)

    def make(mode, **settings):
        given = {"providers": provider.settings, "rate_limits": False, **settings}
        return make_host(email_verification=mode, **given)

    return make


@pytest.fixture
def browsers(make, provider, mode):
    """Two browsers on one host: the planter's and the owner's."""
    host = make(mode)
    return Browser(host, provider), Browser(host, provider)


def count(host, table, *where):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def refused(action, *arguments, **values):
    try:
        return action(*arguments, **values)
    except AuthError as error:
        return error.code


def reset(browser, recorder, email=OWNER, password=OTHER_PASSWORD):
    browser("request_password_reset", email=email)
    return browser("reset_password", key=recorder.key(), password=password)


def owns(browser, email=OWNER, password=OTHER_PASSWORD):
    """Log in to an account that has this address, verified, and no other way in."""
    assert browser("login", identifier=email, password=password).authenticated
    with browser.request() as request:
        assert request.user.email_verified
        assert [each.email for each in browser.host.account.list_emails(request)] == [email]
        assert browser.host.socialaccount.list_accounts(request) == []


def test_a_reset_removes_a_planted_password_and_session(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    reset(owner, recorder)
    owns(owner)
    with planter.request() as request:
        assert request.user is None
    with pytest.raises(InvalidCredentials):
        planter("login", identifier=OWNER, password=PASSWORD)


@not_mandatory
def test_a_reset_removes_a_planted_address_that_was_confirmed(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    planter("add_email", email=PLANTER)
    planter("confirm_email", key=recorder.key())
    reset(owner, recorder)
    owns(owner)
    planter("request_password_reset", email=PLANTER)
    assert recorder.messages[-1].kind == "password_reset_unknown_account"


@not_mandatory
@pytest.mark.parametrize("change_email", [False, True])
def test_a_reset_cancels_a_change_of_address_that_waits(make, mode, recorder, change_email):
    host = make(mode, change_email=change_email)
    planter, owner = Browser(host), Browser(host)
    planter("signup", email=OWNER, password=PASSWORD)
    planter("add_email", email=PLANTER)
    link = recorder.key()
    reset(owner, recorder)
    for browser in (planter, owner, Browser(host)):
        with pytest.raises(InvalidKey):
            browser("confirm_email", key=link)
    owns(owner)


@not_mandatory
def test_a_reset_removes_a_planted_connection(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    planter.social("connect", sub="planter", email=PLANTER, email_verified=True)
    reset(owner, recorder)
    owns(owner)
    planter.forget()
    with planter.request() as request:
        found = request.user_by_email(OWNER)
    again = planter.social(sub="planter", email=PLANTER, email_verified=True)
    assert again.login.user.id != found.id


def test_a_reset_removes_a_signup_by_a_provider_that_verifies_nothing(browsers, recorder):
    planter, owner = browsers
    planter.social(sub="planter", email=OWNER, email_verified=False)
    reset(owner, recorder)
    owns(owner)
    planter.forget()
    again = planter.social(sub="planter")
    assert not (again.login and again.login.authenticated)


@only_mandatory
def test_a_planted_signup_by_a_provider_is_not_confirmed_by_the_owner(browsers, recorder):
    """The planter types the owner's address at the form, and waits for the owner's click."""
    planter, owner = browsers
    result = planter.social(sub="planter")
    planter("social_signup", signup_token=result.signup_token, email=OWNER)
    owner("signup", email=OWNER, password=OTHER_PASSWORD)
    assert recorder.messages[-1].kind == "email_confirmation"
    owner("confirm_email", key=recorder.key())
    owns(owner)
    planter.forget()
    assert planter.social(sub="planter").login.waits_for


@with_confirmation
def test_the_first_confirmation_in_another_browser_removes_what_was_planted(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    result = owner("confirm_email", key=recorder.key())
    assert (result.recovered, result.login, result.email_address.verified) == (True, None, True)
    for browser in (planter, owner):
        with pytest.raises(InvalidCredentials):
            browser("login", identifier=OWNER, password=PASSWORD)
    with planter.request() as request:
        assert request.user is None
    reset(owner, recorder)
    owns(owner)


@only_optional
def test_the_first_confirmation_in_another_browser_removes_connections_and_addresses(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    link = recorder.key()
    planter("add_email", email=PLANTER)
    planter("confirm_email", key=recorder.key())
    planter.social("connect", sub="planter", email="x@evil.example")
    recorder.calls.clear()
    owner("confirm_email", key=link)
    assert recorder.names == ["email_removed", "social_account_removed", "email_confirmed"]
    reset(owner, recorder)
    owns(owner)


@with_confirmation
def test_the_first_confirmation_in_the_browser_of_the_signup_removes_nothing(browsers, recorder):
    owner, _ = browsers
    owner("signup", email=OWNER, password=PASSWORD)
    assert owner("confirm_email", key=recorder.key()).recovered is False
    assert owner("login", identifier=OWNER, password=PASSWORD).authenticated


@with_confirmation
def test_whoever_knows_the_password_keeps_it_in_another_browser(browsers, recorder):
    laptop, phone = browsers
    laptop("signup", email=OWNER, password=PASSWORD)
    link = recorder.key()
    with pytest.raises(InvalidCredentials):
        phone("confirm_email", key=link, password=OTHER_PASSWORD)
    assert phone("confirm_email", key=link, password=PASSWORD).recovered is False
    assert laptop("login", identifier=OWNER, password=PASSWORD).authenticated


@only_optional
def test_a_later_confirmation_in_another_browser_removes_nothing(browsers, recorder):
    laptop, phone = browsers
    laptop("signup", email=OWNER, password=PASSWORD)
    laptop("confirm_email", key=recorder.key())
    laptop("add_email", email=SECOND)
    link = recorder.key()
    with pytest.raises(LoginRequired):
        phone("confirm_email", key=link)
    assert phone("confirm_email", key=link, password=PASSWORD).recovered is False
    assert laptop("login", identifier=SECOND, password=PASSWORD).authenticated


@only_optional
@pytest.mark.parametrize("change_email", [False, True])
def test_a_click_on_a_link_of_somebody_else_gives_the_address_away_to_nobody(
    make, mode, recorder, change_email
):
    """The planter adds the owner's address to an account of their own, and waits for the click."""
    host = make(mode, change_email=change_email)
    planter, owner = Browser(host), Browser(host)
    planter("signup", email=PLANTER, password=PASSWORD)
    planter("confirm_email", key=recorder.key())
    planter("add_email", email=OWNER)
    with pytest.raises(LoginRequired):
        owner("confirm_email", key=recorder.key())
    owner("signup", email=OWNER, password=OTHER_PASSWORD)
    owner("confirm_email", key=recorder.key())
    owns(owner)


@pytest.fixture
def verified(make, mode, recorder, provider):
    """An owner whose address is verified, and a thief who once had the cookie."""
    host = make(mode)
    owner, thief = Browser(host, provider), Browser(host, provider)
    owner("signup", email=OWNER, password=PASSWORD)
    if mode != "none":
        owner("confirm_email", key=recorder.key())
    owner("login", identifier=OWNER, password=PASSWORD)
    thief.token = owner.token
    return owner, thief


def change(owner, recorder):
    owner("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)


def first_password(owner, recorder):
    with owner.host.engine.begin() as connection:
        connection.execute(users.update().values(password=None))
    owner("set_password", password=OTHER_PASSWORD)


@pytest.mark.parametrize("ends", [change, first_password, reset])
def test_a_new_password_invalidates_links_and_unconfirmed_addresses(verified, recorder, ends):
    owner, thief = verified
    thief("add_email", email=PLANTER)
    link = recorder.key()
    thief("request_password_reset", email=OWNER)
    older = recorder.key()
    ends(owner, recorder)
    with pytest.raises(InvalidKey):
        thief("confirm_email", key=link)
    with pytest.raises(InvalidKey):
        thief("reset_password", key=older, password=PASSWORD)
    assert count(owner.host, addresses, addresses.c.email == PLANTER) == 0
    assert count(owner.host, confirmations) == 0
    assert "email_removed" in recorder.names


@only_mandatory
@pytest.mark.parametrize("ends", [change, first_password, reset])
def test_a_new_password_ends_logins_that_wait(verified, recorder, ends):
    owner, _ = verified
    owner("add_email", email=SECOND)
    with owner.host.engine.begin() as connection:
        # The address lost its verification, so that a login by it waits.
        connection.execute(addresses.update().values(verified=False))
    Browser(owner.host)("login", identifier=OWNER, password=PASSWORD)
    assert count(owner.host, pending_logins) == 1
    ends(owner, recorder)
    assert count(owner.host, pending_logins) == 0


@only_optional
@pytest.mark.parametrize("flow", ["make_primary", "remove_email"])
def test_a_change_of_addresses_cancels_the_links_of_all(verified, recorder, flow):
    owner, thief = verified
    owner("add_email", email=SECOND)
    owner("confirm_email", key=recorder.key())
    thief("add_email", email=PLANTER)
    link = recorder.key()
    owner(flow, email=SECOND)
    with pytest.raises(InvalidKey):
        thief("confirm_email", key=link)


@only_optional
def test_a_token_that_was_replaced_connects_nothing(verified, provider, recorder, monkeypatch):
    """The thief is at the provider while the owner changes the password."""
    owner, thief = verified
    provider.set_user("thief")
    begun = thief("social_begin", provider="corp", process="connect")
    params = provider.visit(begun, "thief")
    client = owner.host.services.providers.client(owner.host.services.providers.app("corp"))
    complete = client.complete

    def meanwhile(*arguments):
        change(owner, recorder)
        return complete(*arguments)

    monkeypatch.setattr(client, "complete", meanwhile)
    with pytest.raises((LoginRequired, InvalidState)):
        thief("social_complete", provider="corp", params=params, state_token=begun.state_token)
    assert count(owner.host, social_accounts) == 0


def adds(request):
    return request.host.account.add_email(request, email=PLANTER)


def deactivates(request):
    request.host.account.deactivate(request)


def ends_others(request):
    request.host.account.end_other_sessions(request)


def ends_one(request):
    request.host.account.end_session(request, request.new_id())


def reauthenticates(request):
    request.host.account.reauthenticate(request, password=PASSWORD)


FLOWS = [adds, deactivates, ends_others, ends_one, reauthenticates]


@only_optional
@pytest.mark.parametrize("flow", FLOWS)
def test_a_session_that_has_ended_changes_nothing(verified, flow):
    owner, _ = verified
    other = Browser(owner.host)
    other("login", identifier=OWNER, password=PASSWORD)
    with other.request() as request:
        assert request.user is not None
        owner("end_other_sessions")
        with pytest.raises(LoginRequired):
            flow(request)
    assert owner("login", identifier=OWNER, password=PASSWORD).authenticated


@only_optional
@pytest.mark.parametrize("flow", FLOWS)
def test_a_token_that_was_replaced_changes_nothing(verified, flow):
    owner, thief = verified
    with thief.request() as request:
        assert request.user is not None
        owner("reauthenticate", password=PASSWORD)
        with pytest.raises(LoginRequired):
            flow(request)
    with owner.request() as request:
        assert request.user is not None


@only_optional
def test_a_token_that_was_replaced_logs_out_nobody(verified):
    owner, thief = verified
    with thief.request() as request:
        assert request.user is not None
        owner("reauthenticate", password=PASSWORD)
        owner.host.account.logout(request)
    with owner.request() as request:
        assert request.user is not None


# Claims on an address.


@with_confirmation
def test_a_user_says_whether_the_address_is_verified(browsers, recorder, mode):
    owner, _ = browsers
    owner("signup", email=OWNER, password=PASSWORD)
    assert recorder.calls[0].arguments["user"].email_verified is False
    owner("confirm_email", key=recorder.key())
    owner("login", identifier=OWNER, password=PASSWORD)
    with owner.request() as request:
        assert request.user.email_verified is True


@only_optional
def test_an_account_in_use_loses_an_address_that_somebody_else_verifies(browsers, recorder):
    """Its mails would go to the other person, and it would look like theirs."""
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    owner("signup", email=SECOND, password=OTHER_PASSWORD)
    owner("confirm_email", key=recorder.key())
    owner("add_email", email=OWNER)
    recorder.calls.clear()
    owner("confirm_email", key=recorder.key())
    assert recorder.names == ["email_removed", "email_confirmed"]
    with planter.request() as request:
        assert (request.user.email, request.user.email_verified) == (None, False)


@only_optional
def test_an_unverified_claim_of_an_account_that_nobody_uses_expires(browsers, recorder, clock):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    assert refused(owner, "signup", email=OWNER, password=OTHER_PASSWORD) == "email_taken"
    clock.forward(days=6)
    planter("login", identifier=OWNER, password=PASSWORD)
    clock.forward(days=6)
    assert refused(owner, "signup", email=OWNER, password=OTHER_PASSWORD) == "email_taken"
    clock.forward(days=2)
    assert owner("signup", email=OWNER, password=OTHER_PASSWORD).authenticated


def test_without_verification_a_claim_stays(make, recorder, clock):
    browser = Browser(make("none"))
    browser("signup", email=OWNER, password=PASSWORD)
    clock.forward(days=400)
    assert refused(browser, "signup", email=OWNER, password=OTHER_PASSWORD) == "email_taken"


@only_mandatory
def test_a_signup_that_was_never_confirmed_is_deleted(browsers, recorder, clock):
    planter, owner = browsers
    planter("signup", email=PLANTER, password=PASSWORD, username="wanted")
    owner("signup", email=OWNER, password=PASSWORD)
    owner("confirm_email", key=recorder.key())
    clock.forward(days=8)
    assert owner.host.delete_expired()["authhost_user"] == 1
    assert count(owner.host, users) == 1
    owner.forget()
    owner("signup", email=SECOND, password=PASSWORD, username="wanted")


def test_plugins_delete_what_they_store_of_a_signup_that_has_expired(make_host, recorder, clock):
    class Store:
        def __init__(self):
            self.users = {}

        @hookimpl
        def user_signed_up(self, user):
            self.users[user.id] = user.email

        @hookimpl
        def user_deleted(self, user):
            del self.users[user.id]

    store = Store()
    host = make_host({"store": store}, email_verification="mandatory")
    for name in ("ann", "bob"):
        Browser(host)("signup", email=f"{name}@example.org", password=PASSWORD)
    owner = Browser(host)
    owner("signup", email=OWNER, password=PASSWORD)
    owner("confirm_email", key=recorder.key())
    clock.forward(days=8)
    assert host.delete_expired()["authhost_user"] == 2
    assert list(store.users.values()) == [OWNER]
    assert host.delete_expired()["authhost_user"] == 0


@only_mandatory
def test_a_link_to_a_former_address_proves_nothing_of_the_next(make, mode, recorder, monkeypatch):
    """The planter asks for a reset of the own address, and changes it to the owner's in that moment."""
    host = make(mode)
    planter, other = Browser(host), Browser(host)
    planter("signup", email=PLANTER, password=PASSWORD)
    allows = host.services.limits.allows

    def meanwhile(request, *actions):
        if actions[0][0] == "reset_password_mail":
            planter("change_pending_email", email=OWNER)
        return allows(request, *actions)

    monkeypatch.setattr(host.services.limits, "allows", meanwhile)
    other("request_password_reset", email=PLANTER)
    assert recorder.messages[-1].kind == "password_reset_unknown_account"


@only_mandatory
def test_an_account_that_is_used_is_not_deleted(make, mode, recorder, clock):
    """It logs in by another address, which a provider has verified."""
    host = make(mode)
    browser = Browser(host)
    browser("signup", email=OWNER, password=PASSWORD)
    with host.engine.begin() as connection:
        user = connection.execute(select(addresses.c.user_id)).scalar_one()
        row = {"id": host.new_id(), "user_id": user, "email": SECOND, "email_key": SECOND}
        connection.execute(addresses.insert().values(**row, verified=True, claim_key=SECOND))
    assert browser("login", identifier=SECOND, password=PASSWORD).authenticated
    clock.forward(days=8)
    assert host.delete_expired()["authhost_user"] == 0


@only_mandatory
def test_an_account_is_not_deleted_while_its_link_works(make, mode, recorder, clock):
    host = make(mode)
    browser = Browser(host)
    browser("signup", email=OWNER, password=PASSWORD)
    clock.forward(days=6, hours=20)
    browser("login", identifier=OWNER, password=PASSWORD)
    clock.forward(days=1)
    assert host.delete_expired()["authhost_user"] == 0
    assert browser("confirm_email", key=recorder.key()).email_address.verified


@only_optional
def test_a_claim_of_an_account_in_use_stays(browsers, recorder, clock):
    """Used, though it does not log in anew: its session lasts for 30 days."""
    owner, stranger = browsers
    owner("signup", email=OWNER, password=PASSWORD)
    for _ in range(8):
        clock.forward(days=1)
        with owner.request() as request:
            assert request.user is not None
    assert refused(stranger, "signup", email=OWNER, password=OTHER_PASSWORD) == "email_taken"


@not_mandatory
def test_a_claim_of_a_closed_account_yields(browsers, recorder):
    planter, owner = browsers
    planter("signup", email=OWNER, password=PASSWORD)
    planter("deactivate")
    assert owner("signup", email=OWNER, password=OTHER_PASSWORD).authenticated


def test_a_reset_makes_the_browser_known(browsers, recorder, mode):
    owner, _ = browsers
    owner("signup", email=OWNER, password=PASSWORD)
    owner.forget()
    reset(owner, recorder)
    with owner.request() as request:
        assert request.known_device(request.user_by_email(OWNER)) is not None
