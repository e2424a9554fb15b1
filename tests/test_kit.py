"""The testing kit as plugin authors use it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from authhost_hookspecs import Request, User, hookimpl

from authhost.errors import InvalidCredentials, InvalidState
from authhost.pluginhost.hooks import NOTIFICATIONS, SPEC_ARGUMENTS, VETOES
from authhost.testing import OTHER_PASSWORD, PASSWORD, Clock
from authhost.testing.conformance.checks.edges import minimal_arguments


class Doorbell:
    def __init__(self):
        self.rings = []

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        self.rings.append((user.email, request.ip_address))


@pytest.fixture
def doorbell():
    return Doorbell()


@pytest.fixture
def authhost_plugins(doorbell):
    return {"doorbell": doorbell}


def test_browser_keeps_its_session(run_flow, recorded_hooks, mailbox, doorbell):
    run_flow("signup", email="ann@example.org", password=PASSWORD)
    run_flow("confirm_email", key=mailbox.key())
    run_flow("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    run_flow("logout")
    assert run_flow.token is None
    assert recorded_hooks.names == [
        "user_signed_up",
        "email_confirmation_sent",
        "account_ready",
        "user_logged_in",
        "email_confirmed",
        "password_changed",
        "user_logged_out",
        "session_ended",
    ]
    assert recorded_hooks[3].arguments["user"].email == "ann@example.org"
    assert doorbell.rings == [("ann@example.org", "127.0.0.1")]
    with pytest.raises(InvalidCredentials):
        run_flow("login", identifier="ann@example.org", password=PASSWORD)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_tabs_finish_social_in_any_order(run_flow, order):
    tabs = [run_flow.start_social(), run_flow.start_social(next="/inbox")]
    assert len(run_flow.cookies) == 2
    people = {}
    for tab in order:
        sub = f"tab{tab}"
        result = run_flow.finish_social(tabs[tab], sub=sub, email=f"{sub}@example.org", email_verified=True)
        people[tab] = result.login.user.email
        assert result.next == (None, "/inbox")[tab]
    assert people == {0: "tab0@example.org", 1: "tab1@example.org"}
    assert run_flow.cookies == {}


def test_tab_can_return_from_the_provider_only_once(run_flow):
    tab, other = run_flow.start_social(), run_flow.start_social()
    run_flow.finish_social(tab, sub="bob", email="bob@example.org", email_verified=True)
    with pytest.raises(InvalidState):
        run_flow.finish_social(tab)
    assert run_flow.finish_social(other).login


def test_tab_of_another_browser_is_refused(run_flow):
    tab = run_flow.start_social()
    run_flow.forget()
    with pytest.raises(InvalidState):
        run_flow.finish_social(tab)


def test_login_through_a_provider(run_flow, recorded_hooks):
    first = run_flow.social(sub="bob", email="bob@example.org", email_verified=True)
    assert first.login is not None
    assert first.login.authenticated
    run_flow.forget()
    run_flow.social(sub="bob")
    assert recorded_hooks.names[-3:] == ["social_account_updated", "pre_social_login", "user_logged_in"]


def test_unit_of_work_with_the_clock(auth_request, auth_host, auth_clock):
    before = auth_request.now
    auth_clock.forward(minutes=5)
    assert (auth_request.now - before).total_seconds() == 300
    assert auth_host.account.signup(auth_request, email="ann@example.org", password=PASSWORD).authenticated


def test_mailbox_without_a_key_raises(mailbox):
    with pytest.raises(LookupError, match="no message with a key; run a flow"):
        mailbox.key()


class TestRefused:
    @pytest.fixture
    def authhost_plugins(self):
        return {"class": Doorbell}

    def test_refused_plugin_fails_the_test(self, request):
        with pytest.raises(AssertionError, match="the class Doorbell"):
            request.getfixturevalue("auth_host")


class TestFailing:
    @pytest.fixture
    def authhost_plugins(self):
        class Failing:
            @hookimpl
            def user_logged_in(self, user: User) -> None:
                raise RuntimeError("the cause")

        return {"failing": Failing()}

    def test_failure_of_a_plugin_is_printed(self, run_flow, capsys):
        run_flow("signup", email="ann@example.org", password=PASSWORD)
        shown = capsys.readouterr().err
        assert "a plugin failed in user_logged_in" in shown
        assert "RuntimeError: the cause" in shown


def test_edges_check_has_a_value_for_each_argument(make_host, run):
    """Without a value for an argument of a new hook, every plugin that implements it would fail."""
    host = make_host()
    user = run(host, "signup", email="eve@example.org", password=PASSWORD).user
    with host.request() as request:
        given = set(minimal_arguments(request, user)) | {"request"}
    wanted = {name for hook in NOTIFICATIONS | VETOES | {"deliver_message"} for name in SPEC_ARGUMENTS[hook]}
    assert wanted - given == set()


def test_former_name_of_set_user_warns(openid_provider):
    with pytest.warns(DeprecationWarning, match="person is now set_user"):
        openid_provider.person("bob", email="bob@example.org")


class Works:
    """A plugin that works in the background, and can be held up."""

    def __init__(self):
        self.rings, self.gate = [], threading.Event()
        self.gate.set()

    def ring(self, email):
        assert self.gate.wait(30)
        self.rings.append(email)

    @hookimpl
    def user_signed_up(self, request, user):
        request.in_background(self.ring, user.email)


class TestBackground:
    @pytest.fixture
    def works(self):
        plugin = Works()
        yield plugin
        plugin.gate.set()

    @pytest.fixture
    def authhost_plugins(self, works):
        return {"works": works}

    @pytest.fixture
    def authhost_settings(self):
        return {"background_timeout": 0.01, "background_drain": 0}

    def test_browser_waits_for_jobs_after_each_flow(self, run_flow, works):
        run_flow("signup", email="ann@example.org", password=PASSWORD)
        assert works.rings == ["ann@example.org"]

    def test_browser_does_not_wait_for_a_job_that_hangs(self, run_flow, auth_host, works):
        works.gate.clear()
        run_flow("signup", email="ann@example.org", password=PASSWORD)
        assert works.rings == []
        works.gate.set()
        assert auth_host.wait_for_background(30)
        assert works.rings == ["ann@example.org"]


@pytest.mark.parametrize(("late", "catches_up"), [(5, False), (90, True), (86_400, False)])
def test_a_slow_run_does_not_make_tokens_come_from_the_future(late, catches_up):
    clock = Clock(datetime.now(UTC) - timedelta(seconds=late))
    before = clock()
    clock.catch_up()
    assert (clock() > before) is catches_up
