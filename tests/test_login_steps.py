"""Login steps of plugins: nobody is logged in before the last one, in whichever flow the login began."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from authhost_hookspecs import LoginStep, Refused, hookimpl
from passlib.hash import django_pbkdf2_sha256
from sqlalchemy import func, select, update

from authhost.cli.checks.guards import check_login_guards
from authhost.errors import (
    Conflict,
    InvalidCredentials,
    LoginRequired,
    LoginUnavailable,
    UserNotFound,
    Vetoed,
)
from authhost.store import statements
from authhost.store.tables import pending_logins, sessions, users
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider

ANN, BOB = "ann@example.org", "bob@example.org"
KEY = "gate.pass"


class Gate:
    """Asks every user for a step while it is closed; sees the pending login."""

    closed = False
    guarded_only = False
    seen = reauthenticated = told = None
    steps = (LoginStep("pass", "/pass", ("ticket",)),)

    @hookimpl
    def login_steps(self, request, user):
        self.seen = request.logins.pending
        if self.guarded_only and "gate" not in user.login_guards:
            return []
        return list(self.steps) if self.closed else []

    @hookimpl
    def login_pending(self, request, user, steps):
        methods = [each.method for each in request.logins.pending.authentications]
        self.told = user.email, steps, methods

    @hookimpl
    def user_reauthenticated(self, request, user):
        self.reauthenticated = user.email


class Last(Gate):
    closed = True
    steps = (LoginStep("enrol", "/enrol", last=True),)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def provider():
    with LocalProvider() as found:
        yield found


@pytest.fixture
def host(make_host, gate, provider):
    return make_host(
        {"gate": gate},
        email_verification="mandatory",
        login_on_email_confirmation=True,
        login_on_password_reset=True,
        rate_limits=False,
        providers=provider.settings,
    )


@pytest.fixture
def ann(host, recorder):
    """A browser of somebody with an account, logged out."""
    browser = Browser(host)
    browser("signup", email=ANN, password=PASSWORD)
    browser("confirm_email", key=recorder.key())
    browser("logout")
    browser.forget()
    recorder.calls.clear()
    return browser


def count(host, table):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def who(browser):
    with browser.request() as request:
        return request.user and request.user.email


def pending_of(browser):
    with browser.request() as request:
        return request.logins.pending


def id_of(host, email=ANN):
    with host.request() as request:
        return request.user_by_email(email).id


def by_password(browser, recorder):
    return browser("login", identifier=ANN, password=PASSWORD)


def by_reset(browser, recorder):
    browser("request_password_reset", email=ANN)
    return browser("reset_password", key=recorder.key(), password=OTHER_PASSWORD)


def by_plugin(browser, recorder):
    browser("logins_log_in", user_id=id_of(browser.host), method="passkey", factors=("possession",))


@pytest.mark.parametrize("begin", [by_password, by_reset, by_plugin])
def test_there_is_no_session_before_the_last_step(host, ann, gate, recorder, begin):
    gate.closed = True
    result = begin(ann, recorder)
    assert who(ann) is None
    assert count(host, sessions) == 0
    assert "user_logged_in" not in recorder.names
    if result is not None:
        assert result.waits_for == KEY
        assert [(each.key, each.path, each.methods) for each in result.steps] == [
            (KEY, "/gate/pass", ("ticket",))
        ]
    ann("logins_complete_step", key=KEY, method="ticket", factors=("possession",))
    assert who(ann) == ANN
    assert recorder.names[-1] == "user_logged_in"
    assert count(host, pending_logins) == 0


def test_a_reset_recognises_no_browser_before_the_last_step(host, ann, gate, recorder):
    gate.closed = True
    browser = Browser(host)
    by_reset(browser, recorder)
    assert browser.device_token is None
    browser("logins_complete_step", key=KEY)
    assert browser.device_token is not None


def test_a_confirmation_is_asked_too(host, gate, recorder):
    gate.closed = True
    browser = Browser(host)
    assert browser("signup", email=ANN, password=PASSWORD).waits_for == "email_verification"
    with pytest.raises(LoginRequired):
        browser("logins_complete_step", key=KEY)
    result = browser("confirm_email", key=recorder.key()).login
    assert (result.waits_for, who(browser)) == (KEY, None)
    browser("logins_complete_step", key=KEY)
    assert who(browser) == ANN


def test_a_social_login_is_asked_too(host, gate, provider, clock):
    clock.now = datetime.now(UTC)  # the tokens of the provider have its time
    browser = Browser(host, provider)
    claims = {"email": BOB, "email_verified": True}
    browser.social(**claims)
    browser("logout")
    gate.closed = True
    result = browser.social(**claims)
    assert (result.login.waits_for, who(browser)) == (KEY, None)
    assert result.account.user_id is None, "it does not reveal the account"
    browser("logins_complete_step", key=KEY)
    assert who(browser) == BOB


def test_a_signup_that_needs_no_confirmation_is_asked_too(make_host, gate):
    gate.closed = True
    browser = Browser(make_host({"gate": gate}, email_verification="none"))
    assert browser("signup", email=ANN, password=PASSWORD).waits_for == KEY
    assert who(browser) is None


def test_the_session_knows_all_authentications(ann, gate, recorder, clock):
    gate.closed = True
    by_password(ann, recorder)
    assert [each.method for each in pending_of(ann).authentications] == ["password"]
    ann("logins_complete_step", key=KEY, method="ticket", factors=("possession",))
    with ann.request() as request:
        found = [(each.method, each.factors) for each in request.authentication]
    assert found == [("password", ("knowledge",)), ("ticket", ("possession",))]
    for _ in range(2):
        clock.forward(minutes=5)
        ann("logins_reauthenticate", method="ticket", factors=("possession",))
    with ann.request() as request:
        assert [each.method for each in request.authentication] == ["password", "ticket", "ticket"]


def test_a_reauthentication_by_a_plugin_changes_the_token(ann, gate, recorder, clock):
    by_password(ann, recorder)
    clock.forward(hours=2)
    token = ann.token
    ann("logins_reauthenticate", method="ticket", factors=("possession",))
    assert ann.token != token
    assert gate.reauthenticated == ANN
    with ann.request() as request:
        assert request.session.authenticated_at == clock()
    with ann.host.request(session_token=token) as request:
        assert request.user is None


def test_who_is_logged_in_stays_so_until_the_last_step(host, ann, gate, recorder):
    """Neither does another user's session silence the steps."""
    ann("signup", email=BOB, password=PASSWORD)
    ann("confirm_email", key=recorder.key())
    gate.closed = True
    assert by_password(ann, recorder).waits_for == KEY
    assert who(ann) == BOB
    ann("logins_complete_step", key=KEY)
    assert who(ann) == ANN


def test_the_browser_of_the_kit_is_logged_in_by_a_step(ann, gate, recorder):
    """A plugin's test completes a step in a unit of work, as the action of its page does."""
    gate.closed = True
    by_password(ann, recorder)
    with ann.request() as request:
        request.logins.complete_step(KEY)
    assert (who(ann), ann.pending) == (ANN, None)
    with ann.request() as request:
        ann.host.account.logout(request)
    assert (who(ann), ann.token) == (None, None)


def test_a_pending_login_is_used_once(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    pending = ann.pending
    ann("logins_complete_step", key=KEY)
    ann.token, ann.pending = None, pending
    with pytest.raises(LoginRequired):
        ann("logins_complete_step", key=KEY)


def test_two_requests_complete_one_login(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)

    def complete(number):
        try:
            with host.request(pending_token=ann.pending) as request:
                request.logins.complete_step(KEY)
        except (LoginRequired, Conflict):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(complete, range(4))) == 1
    assert count(host, sessions) == 1


def test_it_does_not_vanish_while_a_plugin_uses_it(host, ann, gate, recorder):
    """Another request may complete it between two lines of an action; the step is refused then."""
    gate.closed = True
    by_password(ann, recorder)
    with ann.request() as request:
        pending = request.logins.pending
        with host.request(pending_token=ann.pending) as other:
            other.logins.complete_step(KEY)
        assert request.logins.pending is pending
        with pytest.raises(LoginRequired):
            request.logins.complete_step(KEY)


def test_it_belongs_to_one_browser(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    with pytest.raises(LoginRequired):
        Browser(host)("logins_complete_step", key=KEY)


def test_it_ends_with_the_password(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    other = Browser(host)
    by_reset(other, recorder)
    with pytest.raises(LoginRequired):
        ann("logins_complete_step", key=KEY)


def test_it_ends_with_its_time(host, ann, gate, recorder, clock):
    gate.closed = True
    by_password(ann, recorder)
    clock.forward(seconds=host.settings.pending_login_timeout + 1)
    with pytest.raises(LoginRequired):
        ann("logins_complete_step", key=KEY)


def test_one_from_before_login_steps_has_proved_nothing(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    with host.engine.begin() as connection:
        connection.execute(pending_logins.update().values(authentications=None))
    with pytest.raises(LoginRequired):
        ann("logins_complete_step", key=KEY)


def test_a_deactivated_account_cannot_complete_it(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    with host.request() as request:
        request.accounts.deactivate(id_of(host))
    with pytest.raises(LoginRequired):
        ann("logins_complete_step", key=KEY)


def test_a_logout_ends_it(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    pending = ann.pending
    ann("logout")
    assert count(host, pending_logins) == 0
    ann.pending = pending
    assert pending_of(ann) is None


def test_a_weak_hash_is_replaced_although_the_login_waits(host, ann, gate, recorder):
    """Otherwise the accounts with a second factor keep the weakest hashes for ever."""
    gate.closed = True
    weak = django_pbkdf2_sha256.using(rounds=1).hash(PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(update(users).values(password=weak))
    by_password(ann, recorder)
    with host.engine.connect() as connection:
        stored = connection.execute(select(users.c.password)).scalar_one()
    assert stored != weak
    tag = pending_of(ann).password_tag
    ann("logins_complete_step", key=KEY)
    by_password(ann, recorder)
    assert pending_of(ann).password_tag == tag, "a browser that is trusted now stays so"


def test_a_wrong_password_says_nothing_of_the_steps(ann, gate):
    gate.closed, gate.seen = True, None
    with pytest.raises(InvalidCredentials):
        ann("login", identifier=ANN, password=OTHER_PASSWORD)
    assert gate.seen is None


class Closed:
    """Refuses every login."""

    @hookimpl
    def before_login(self, request, user):
        raise Refused("closed", "The site is closed.")


def test_a_refused_login_leaves_the_pending_one(make_host, gate, recorder):
    """A veto comes after the last step, and the person can try again."""
    gate.closed = True
    closed = Closed()
    browser = Browser(make_host({"gate": gate, "closed": closed}, email_verification="none"))
    browser("signup", email=ANN, password=PASSWORD)
    with pytest.raises(Vetoed):
        browser("logins_complete_step", key=KEY)
    assert pending_of(browser).steps == (KEY,)
    assert count(browser.host, sessions) == 0


class Broken:
    @hookimpl
    def login_steps(self, request, user):
        raise RuntimeError("no database")


class WrongResult:
    @hookimpl
    def login_steps(self, request, user):
        return ["pass"]


class SameKeys:
    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("pass", "/a"), LoginStep("pass", "/b")]


@pytest.mark.parametrize("plugin", [Broken, WrongResult, SameKeys])
def test_a_plugin_that_fails_lets_nobody_in(make_host, plugin):
    browser = Browser(make_host({"gate": plugin()}, email_verification="none"))
    with pytest.raises(Vetoed) as refused:
        browser("signup", email=ANN, password=PASSWORD)
    assert refused.value.fields["plugin_code"] == "plugin_failed"
    assert count(browser.host, sessions) == 0


def test_what_the_hook_writes_is_undone(make_host):
    """It is called whenever a page of the login is shown."""

    class Writes(Gate):
        @hookimpl
        def login_steps(self, request, user):
            request.db.execute(users.update().values(username="written"))
            request.on_commit(lambda: pytest.fail("it was queued"))
            return []

    browser = Browser(make_host({"gate": Writes()}, email_verification="none"))
    browser("signup", email=ANN, password=PASSWORD)
    with browser.request() as request:
        assert request.user.username is None


def test_steps_of_two_plugins(make_host, gate):
    gate.closed = True
    browser = Browser(make_host({"gate": gate, "a_last": Last()}, email_verification="none"))
    result = browser("signup", email=ANN, password=PASSWORD)
    assert [each.key for each in result.steps] == [KEY, "a_last.enrol"]
    with pytest.raises(LoginRequired):
        browser("logins_complete_step", key="a_last.enrol")
    browser("logins_complete_step", key=KEY)
    assert pending_of(browser).steps == ("a_last.enrol",)
    browser("logins_complete_step", key="a_last.enrol")
    assert who(browser) == ANN


def test_two_plugins_have_a_last_step(make_host, gate):
    """One of them comes first. If each waited for the other one, nobody could log in."""
    gate.closed = True
    plugins = {"gate": gate, "a_last": Last(), "b_last": Last()}
    browser = Browser(make_host(plugins, email_verification="none"))
    result = browser("signup", email=ANN, password=PASSWORD)
    assert [each.key for each in result.steps] == [KEY, "a_last.enrol", "b_last.enrol"]
    for key in ("b_last.enrol", "a_last.enrol"):
        with pytest.raises(LoginRequired):
            browser("logins_complete_step", key=key)
    browser("logins_complete_step", key=KEY)
    browser("logins_complete_step", key="b_last.enrol")
    browser("logins_complete_step", key="a_last.enrol")
    assert who(browser) == ANN


class Impostor:
    """Completes the step of another plugin in its own hook."""

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        request.logins.complete_step(KEY)


def test_a_plugin_completes_only_its_own_steps(make_host, gate, caplog):
    gate.closed = True
    browser = Browser(make_host({"gate": gate, "impostor": Impostor()}, email_verification="none"))
    browser("signup", email=ANN, password=PASSWORD)
    with pytest.raises(InvalidCredentials):
        browser("login", identifier=ANN, password=OTHER_PASSWORD)
    assert "ValueError" in caplog.text
    assert who(browser) is None


class Other(Gate):
    closed = True
    steps = (LoginStep("code", "/code"), LoginStep("more", "/more"))


@pytest.mark.parametrize("key", [f"{KEY} other.code", "gate.", "gate", f"{KEY}\n", "gate.a.b"])
def test_a_key_names_one_step(make_host, gate, key):
    """The completed steps are stored as words: a space would complete that of another plugin."""
    gate.closed = True
    browser = Browser(make_host({"gate": gate, "other": Other()}, email_verification="none"))
    browser("signup", email=ANN, password=PASSWORD)
    steps = pending_of(browser).steps
    with pytest.raises(ValueError, match="key"):
        browser("logins_complete_step", key=key)
    assert pending_of(browser).steps == steps


@pytest.mark.parametrize("flow", ["end_other_sessions", "accounts_end_sessions"])
def test_who_ends_the_sessions_ends_logins_that_wait(host, ann, gate, recorder, flow):
    by_password(ann, recorder)
    gate.closed = True
    thief = Browser(host)
    by_password(thief, recorder)
    ann(flow, **({"user_id": id_of(host)} if flow.startswith("accounts") else {}))
    with pytest.raises(LoginRequired):
        thief("logins_complete_step", key=KEY)


def test_a_login_that_waits_is_told(host, ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    assert gate.told == (ANN, (KEY,), ["password"])
    ann("logins_complete_step", key=KEY)
    gate.told = None
    gate.closed = False
    by_password(ann, recorder)
    assert gate.told is None


def test_the_audit_trail_has_the_login_that_waits(make_host, gate, recorder):
    audit = pytest.importorskip("authhost_audit.plugin")
    tables = pytest.importorskip("authhost_audit.tables")
    gate.closed = True
    host = make_host({"gate": gate, "audit": audit.AuditPlugin()}, email_verification="none")
    Browser(host)("signup", email=ANN, password=PASSWORD)
    with host.engine.connect() as connection:
        rows = connection.execute(select(tables.event_table)).all()
    (row,) = [each for each in rows if each.event == "login_pending"]
    assert (row.method, row.outcome, row.data) == ("password", "success", '{"steps":["gate.pass"]}')


# Guards.


def guard(host, email=ANN):
    with host.request() as request:
        request.logins.guard("gate", id_of(host, email))


def test_a_guarded_account_is_known_without_a_query(host, ann, gate, recorder):
    gate.closed = gate.guarded_only = True
    assert by_password(ann, recorder).authenticated
    ann("logout")
    guard(host)
    assert by_password(ann, recorder).waits_for == KEY
    with host.request() as request:
        request.logins.unguard("gate", id_of(host))
    assert by_password(ann, recorder).authenticated


def test_without_the_plugin_nobody_can_log_in(host, ann, make_host, recorder):
    guard(host)
    without = Browser(make_host(email_verification="mandatory", rate_limits=False))
    with pytest.raises(LoginUnavailable) as refused:
        by_password(without, recorder)
    assert refused.value.fields["plugin"] == "gate"
    with pytest.raises(InvalidCredentials):  # the guard is not told to somebody without the password
        without("login", identifier=ANN, password=OTHER_PASSWORD)
    allowed = Browser(make_host(rate_limits=False, login_without_plugins=("gate",)))
    assert by_password(allowed, recorder).authenticated


def test_a_plugin_that_fails_to_load_is_as_one_that_is_not_installed(host, ann, make_host, recorder):
    guard(host)

    class Refused(Gate):
        @hookimpl
        def register_settings(self):
            return 1

    refused = Browser(make_host({"gate": Refused()}, rate_limits=False))
    with pytest.raises(LoginUnavailable):
        by_password(refused, recorder)


class GuardsNewUsers(Gate):
    """Asks every new user for a step once, and fails after the guard if it must."""

    closed = guarded_only = True
    error = None

    @hookimpl
    def user_signed_up(self, request, user):
        request.logins.guard("gate", user.id)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("verification", ["none", "optional", "mandatory"])
def test_a_guard_that_is_set_at_the_signup_counts(make_host, recorder, verification):
    host = make_host(
        {"gate": GuardsNewUsers()}, email_verification=verification, login_on_email_confirmation=True
    )
    browser = Browser(host)
    result = browser("signup", email=ANN, password=PASSWORD)
    if verification == "mandatory":
        result = browser("confirm_email", key=recorder.key()).login
    assert result.waits_for == KEY
    browser("logins_complete_step", key=KEY)
    assert count(host, sessions) == 1


def test_a_guard_that_is_set_at_a_signup_with_a_provider_counts(make_host, provider, clock):
    clock.now = datetime.now(UTC)  # the tokens of the provider have its time
    browser = Browser(make_host({"gate": GuardsNewUsers()}, providers=provider.settings), provider)
    assert browser.social(email=BOB, email_verified=True).login.waits_for == KEY


def test_a_guard_of_a_hook_that_fails_is_undone(make_host):
    gate = GuardsNewUsers()
    gate.error = RuntimeError("after the guard")
    assert Browser(make_host({"gate": gate}))("signup", email=ANN, password=PASSWORD).authenticated


def test_a_guard_that_is_set_during_a_login_counts(host, ann, gate, recorder, monkeypatch):
    gate.closed = gate.guarded_only = True

    def guard_meanwhile(request, user):
        with host.engine.begin() as connection:
            connection.execute(statements.SET_GUARDS, {"of_user": user.id, "new_guards": ("gate",)})
        return []

    monkeypatch.setattr(host.services.hooks, "login_steps", guard_meanwhile)
    with pytest.raises(Conflict):
        by_password(ann, recorder)
    assert count(host, sessions) == 0


def test_a_guard_of_a_plugin_without_steps_is_a_mistake(host, ann):
    with host.request() as request, pytest.raises(ValueError, match="no login_steps"):
        request.logins.guard("recorder", id_of(host))


def test_a_guard_needs_an_account(host):
    with host.request() as request, pytest.raises(UserNotFound):
        request.logins.guard("gate", request.new_id())


def test_a_login_of_nobody(host):
    with pytest.raises(InvalidCredentials):
        Browser(host)("logins_log_in", user_id=host.new_id(), method="passkey", factors=())


@pytest.mark.parametrize(
    "values", [{"method": "Pass Key", "factors": ()}, {"method": "a", "factors": ("x",)}]
)
def test_wrong_arguments(host, ann, values):
    with host.request() as request, pytest.raises(ValueError, match="must be"):
        request.logins.log_in(id_of(host), **values)


@pytest.mark.parametrize("key", ["", "Pass", "a" * 33])
def test_a_step_has_a_short_key(key):
    with pytest.raises(ValueError, match="key"):
        LoginStep(key, "/pass")


@pytest.mark.parametrize("methods", ["totp", ["totp"], ("TOTP",), (1,)])
def test_the_methods_of_a_step_are_words(methods):
    with pytest.raises(ValueError, match="methods"):
        LoginStep("pass", "/pass", methods)


def test_the_tag_of_a_password_changes_with_it(ann, gate, recorder):
    gate.closed = True
    by_password(ann, recorder)
    first = pending_of(ann).password_tag
    by_reset(ann, recorder)
    assert pending_of(ann).password_tag not in (first, PASSWORD)


def test_check_counts_the_accounts_that_need_a_missing_plugin(host, ann, make_host):
    guard(host)
    (problem,) = check_login_guards(make_host())
    assert problem.level == "error"
    assert "nobody can log in to 1 accounts: they need the plugin gate" in problem.problem
    (problem,) = check_login_guards(make_host(login_without_plugins=("gate",)))
    assert (problem.level, "login_without_plugins" in problem.problem) == ("warning", True)
    assert list(check_login_guards(host)) == []
    (problem,) = check_login_guards(make_host({"gate": Gate()}, login_without_plugins=("gate",)))
    assert "which is loaded" in problem.problem
