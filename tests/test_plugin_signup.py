"""A signup by a method of a plugin: no password is stored, and all else is that of a password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from authhost_hookspecs import Refused, hookimpl
from sqlalchemy import event, select

from authhost.errors import (
    EmailTaken,
    InvalidEmail,
    InvalidInput,
    RateLimited,
    RequiredPluginFailed,
    SignupClosed,
    UsernameTaken,
    Vetoed,
)
from authhost.store.tables import users
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider

ANN, FREE = "ann@example.org", "free@example.org"
METHOD = {"method": "passkey", "factors": ("possession", "inherence")}


class Keys:
    """Sees what a plugin with credentials needs to see."""

    def __init__(self):
        self.calls = []
        self.refused = False

    @hookimpl
    def before_signup(self, request, email):
        if self.refused:
            raise Refused("not_invited", "You are not invited.")

    @hookimpl
    def account_ready(self, request, user):
        self.calls.append(("account_ready", user.email))

    @hookimpl
    def account_recovered(self, request, user):
        assert user.email_verified
        assert not user.has_usable_password
        assert not request.account(user.id).social_accounts
        self.calls.append(("account_recovered", user.email))

    @hookimpl
    def email_confirmed(self, request, email_address):
        self.calls.append(("email_confirmed", email_address.email))

    @hookimpl
    def flow_refused(self, request, flow, error):
        self.calls.append((flow, error.code))

    @property
    def recovered(self):
        return [email for name, email in self.calls if name == "account_recovered"]


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def make(make_host, keys, provider, clock):
    clock.now = datetime.now(UTC)

    def make(mode="mandatory", **settings):
        given = {"providers": provider.settings, "rate_limits": False, **settings}
        return make_host({"keys": keys}, email_verification=mode, **given)

    return make


def sign_up(browser, email=ANN, **values):
    """Sign up, and keep the tokens; return the user."""
    with browser.request() as request:
        user = request.logins.sign_up(email=email, **{**METHOD, **values})
        browser.token, browser.pending = request.session_token, request.pending_token
        browser.device_token = request.device_token
    return user


def user_of(browser):
    with browser.request() as request:
        return request.user


@pytest.mark.parametrize("mode", ["none", "optional"])
def test_it_logs_in(make, keys, recorder, mode):
    browser = Browser(make(mode))
    user = sign_up(browser, username="ann")
    assert (user.email, user.username, user.has_usable_password) == (ANN, "ann", False)
    with browser.request() as request:
        assert request.user.id == user.id
        (proof,) = request.authentication
    assert (proof.method, proof.factors) == ("passkey", ("possession", "inherence"))
    assert recorder.names[0] == "user_signed_up"
    assert "user_logged_in" in recorder.names
    assert keys.calls == [("account_ready", ANN)]
    assert [each.kind for each in recorder.messages] == (["email_confirmation"] if mode == "optional" else [])


def test_no_password_is_stored(make):
    host = make("none")
    sign_up(Browser(host))
    with host.engine.connect() as connection:
        assert connection.execute(select(users.c.password)).scalars().all() == [None]


def test_it_waits_for_the_confirmation_in_the_same_browser(make, keys, recorder):
    host = make(login_on_email_confirmation=True)
    browser = Browser(host)
    user = sign_up(browser)
    assert (user.email_verified, user_of(browser)) == (False, None)
    with browser.request() as request:
        assert request.logins.pending.steps == ("email_verification",)
    result = browser("confirm_email", key=recorder.key())
    assert (result.recovered, result.login.authenticated) == (False, True)
    assert user_of(browser).id == user.id
    with browser.request() as request:
        assert {each.method for each in request.authentication} == {"email_confirmation", "passkey"}
    assert keys.recovered == []


REFUSALS = [
    ({"signup_open": False}, {}, SignupClosed),
    ({}, {"email": "nobody"}, InvalidEmail),
    ({}, {"username": "not a name"}, InvalidInput),
    ({}, {"username": "taken"}, UsernameTaken),
    ({"email_verification": "optional"}, {"email": "taken@example.org"}, EmailTaken),
    ({"rate_limits": True}, {}, RateLimited),
    ({}, {}, Vetoed),
]


@pytest.mark.parametrize(
    ("settings", "values", "error"), REFUSALS, ids=[each[2].__name__ for each in REFUSALS]
)
def test_refusals_are_those_of_a_signup(make, make_host, keys, settings, values, error):
    settings = dict(settings)
    host = make(settings.pop("email_verification", "mandatory"), **settings)
    if settings.get("signup_open", True):
        Browser(host)("signup", email="taken@example.org", password=PASSWORD, username="taken")
    keys.refused = error is Vetoed
    browser = Browser(host)
    tries = range(100) if error is RateLimited else range(1)
    with pytest.raises(error) as refusal:
        for number in tries:
            sign_up(browser, **{"email": f"free{number}@example.org", **values})
    assert keys.calls[-1] == ("signup", refusal.value.code)
    assert user_of(browser) is None
    with host.engine.connect() as connection:
        assert error is RateLimited or len(connection.execute(select(users.c.id)).all()) <= 1


def test_wrong_arguments_are_errors_of_the_plugin(make):
    browser = Browser(make())
    for values in ({"method": "No Word"}, {"factors": ("magic",)}):
        with pytest.raises(ValueError, match="must be"):
            sign_up(browser, **values)


class TestATakenAddress:
    """With mandatory verification it behaves like a free one."""

    @pytest.fixture
    def host(self, make, recorder):
        host = make()
        owner = Browser(host)
        owner("signup", email=ANN, password=OTHER_PASSWORD)
        owner("confirm_email", key=recorder.key())
        return host

    def answers(self, host, email):
        browser = Browser(host)
        seen = []
        statements = []

        def on_execute(connection, cursor, sql, *rest):
            statements.append(sql)

        event.listen(host.engine, "before_cursor_execute", on_execute)
        try:
            user = sign_up(browser, email)
            seen.append((user.email == email, user.username, user.email_verified, user.has_usable_password))
            with browser.request() as request:
                seen.append((request.user, request.logins.pending.steps, request.logins.pending.user == user))
            written = [
                each.split()[:3] for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))
            ]
        finally:
            event.remove(host.engine, "before_cursor_execute", on_execute)
        with Browser(host).request() as request:
            request.logins.log_in(user.id, **METHOD)
            seen.append((request.user, request.logins.pending.steps))
        seen.append(browser("send_confirmation"))
        return seen, written

    def test_the_answers_are_the_same(self, host):
        free, free_statements = self.answers(host, FREE)
        taken, taken_statements = self.answers(host, ANN)
        assert taken == free
        # A confirmation of a taken address could not be used, but its row is stored all the same.
        assert taken_statements == free_statements

    def test_the_owner_of_the_mailbox_is_told(self, host, recorder):
        sign_up(Browser(host))
        message = recorder.messages[-1]
        assert (message.kind, message.recipient) == ("signup_existing_account", ANN)


class TestRecovery:
    """Somebody has signed up with the address of the owner, with a credential of their own."""

    @pytest.fixture(params=["optional", "mandatory"])
    def host(self, request, make):
        return make(request.param)

    def test_a_confirmation_in_another_browser(self, host, keys, recorder):
        planter, owner = Browser(host), Browser(host)
        sign_up(planter)
        assert owner("confirm_email", key=recorder.key()).recovered
        assert keys.recovered == [ANN]
        assert keys.calls.index(("account_recovered", ANN)) < keys.calls.index(("email_confirmed", ANN))
        assert user_of(planter) is None
        with planter.request() as request:
            assert request.logins.pending is None

    def test_a_reset(self, host, keys, recorder):
        planter, owner = Browser(host), Browser(host)
        sign_up(planter)
        owner("request_password_reset", email=ANN)
        owner("reset_password", key=recorder.key(), password=PASSWORD)
        assert keys.recovered == [ANN]
        assert user_of(planter) is None
        assert owner("login", identifier=ANN, password=PASSWORD).authenticated

    def test_a_login_by_a_provider_that_has_verified_the_address(self, make, keys, provider):
        settings = {name: {**values, "login_by_email": True} for name, values in provider.settings.items()}
        host = make("optional", providers=settings)
        planter, owner = Browser(host, provider), Browser(host, provider)
        user = sign_up(planter)
        result = owner.social(sub="owner", email=ANN, email_verified=True)
        assert result.login.user.id == user.id
        assert keys.recovered == [ANN]
        assert user_of(planter) is None

    def test_a_failing_plugin_that_is_required_refuses_it(self, make_host, recorder):
        class Failing:
            @hookimpl
            def account_recovered(self, request, user):
                raise OSError("no connection")

        host = make_host({"failing": Failing()}, email_verification="optional", required_plugins=("failing",))
        sign_up(Browser(host))
        with pytest.raises(RequiredPluginFailed):
            Browser(host)("confirm_email", key=recorder.key())
        with host.request() as request:
            assert request.user_by_email(ANN) is None  # the address is not verified

    def test_nothing_is_recovered_later(self, make, keys, recorder):
        browser = Browser(make("optional"))
        sign_up(browser)
        browser("confirm_email", key=recorder.key())
        owner = Browser(browser.host)
        owner("request_password_reset", email=ANN)
        owner("reset_password", key=recorder.key(), password=PASSWORD)
        assert keys.recovered == []


def test_a_reset_sets_a_first_password(make, recorder):
    browser = Browser(make())
    user = sign_up(browser)
    browser("confirm_email", key=recorder.key())
    browser("request_password_reset", email=ANN)
    browser("reset_password", key=recorder.key(), password=PASSWORD)
    assert browser("login", identifier=ANN, password=PASSWORD).user.id == user.id


def test_an_account_that_is_not_confirmed_expires(make, clock):
    host = make()
    sign_up(Browser(host))
    clock.now += timedelta(days=30)
    host.delete_expired()
    with host.engine.connect() as connection:
        assert connection.execute(select(users.c.id)).all() == []


def test_what_was_given_reaches_the_completion(make, recorder):
    host = make()
    browser = Browser(host)
    with browser.request(given={"invitation": "k7"}) as request:
        request.logins.sign_up(email=ANN, **METHOD)
        browser.pending = request.pending_token
    with browser.request() as request:
        host.account.confirm_email(request, key=recorder.key())
        assert request.given == {"invitation": "k7"}
