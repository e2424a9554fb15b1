"""What the application gives a request reaches the hooks, also after a provider, form or confirmation."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from authhost_hookspecs import Refused, StopFlow, hookimpl
from conftest import PASSWORD
from sqlalchemy import event, select

from authhost.errors import InvalidInput, ProviderDenied, Vetoed
from authhost.store.tables import addresses, social_steps, users
from authhost.testing import Browser, open_host

ANN, BOB = "ann@example.org", "bob@example.org"
CODE = {"invitation": "k7Qw-93-secret"}
HOOKS = (
    "before_signup",
    "user_signed_up",
    "account_ready",
    "email_confirmed",
    "before_login",
    "user_logged_in",
    "pre_social_login",
    "social_account_added",
    "social_account_updated",
    "flow_refused",
)


class Seen:
    """Records ``request.given`` and ``request.sociallogin`` in each hook."""

    def __init__(self) -> None:
        self.given: list[tuple[str, dict[str, str]]] = []
        self.sociallogins: list[tuple[str, Any]] = []

    def names(self) -> list[str]:
        return [hook for hook, _ in self.given]

    def note(self, hook: str, request: Any) -> None:
        self.given.append((hook, dict(request.given)))
        self.sociallogins.append((hook, request.sociallogin))


def _noting(hook: str) -> Any:
    def implementation(self: Seen, request: Any) -> None:
        self.note(hook, request)

    implementation.__name__ = hook
    return hookimpl(implementation)


for _hook in HOOKS:
    setattr(Seen, _hook, _noting(_hook))


@pytest.fixture
def now(clock: Any) -> None:
    """The provider uses the clock of the machine."""
    clock.now = datetime.now(UTC)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def authhost_plugins(seen: Seen) -> dict[str, object]:
    return {"seen": seen}


@pytest.fixture
def authhost_settings() -> dict[str, Any]:
    return {
        "email_verification": "mandatory",
        "login_on_email_confirmation": True,
        "store_social_tokens": True,
    }


def sealed_given(host: Any) -> list[bytes | None]:
    with host.engine.connect() as connection:
        return list(connection.execute(select(users.c.signup_given)).scalars())


# What may be given.


@pytest.mark.parametrize(
    "given",
    [
        {str(number): "x" for number in range(17)},
        {"": "x"},
        {"n" * 65: "x"},
        {"white space": "x"},
        {"ä": "x"},
        {"name\n": "x"},
        {7: "x"},
        {"name": 7},
        {"name": None},
        {"name": b"secret"},
        {"name": "secret" * 100},
        {"name": "secret\0"},
        {"name": "secret\ud800"},
        "name=secret",
        [("name", "secret")],
    ],
)
def test_what_cannot_be_given_is_refused_without_its_value(auth_host, given):
    with pytest.raises(InvalidInput) as refused:
        auth_host.request(given=given)
    assert refused.value.fields["field"] == "given"
    assert "secret" not in str(refused.value)


def test_given_is_a_mapping_that_nobody_can_change_and_that_shows_no_value(auth_host):
    given = {"A-z_0.9": "x" * 512, "empty": "", **{str(number): "ü" for number in range(14)}}
    with auth_host.request(given=given) as request:
        assert request.given == given
        assert isinstance(request.given, Mapping)
        with pytest.raises(TypeError):
            request.given["other"] = "x"
        shown = f"{request.given} {request.given!r}"
        assert "empty" in shown
        assert "xxx" not in shown
        given.clear()
        assert len(request.given) == 16
    with auth_host.request() as request:
        assert dict(request.given) == {}


# Signup.


def test_a_signup_without_a_confirmation(make_host, mailbox):
    seen = Seen()
    host = make_host({"seen": seen, "box": mailbox}, email_verification="optional")
    Browser(host)("signup", email=ANN, password=PASSWORD, given=CODE)
    assert seen.given == [
        ("before_signup", CODE),
        ("user_signed_up", CODE),
        ("account_ready", CODE),
        ("before_login", CODE),
        ("user_logged_in", CODE),
    ]
    assert sealed_given(host) == [None]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_signup_that_waits_for_its_confirmation(auth_host, run_flow, mailbox, seen, elsewhere):
    run_flow("signup", email=ANN, password=PASSWORD, given=CODE)
    [sealed] = sealed_given(auth_host)
    assert b"secret" not in sealed
    seen.given.clear()
    browser = Browser(auth_host) if elsewhere else run_flow
    browser("confirm_email", key=mailbox.key())
    hooks = ["email_confirmed", "account_ready", *([] if elsewhere else ["before_login", "user_logged_in"])]
    assert seen.given == [(hook, CODE) for hook in hooks]
    assert sealed_given(auth_host) == [None]
    seen.given.clear()
    run_flow("request_password_reset", email=ANN)
    run_flow("reset_password", key=mailbox.key(), password=PASSWORD)
    run_flow("login", identifier=ANN, password=PASSWORD)
    assert seen.names() == ["before_login", "user_logged_in"]
    assert all(given == {} for _, given in seen.given)


def test_a_reset_completes_a_signup_with_what_it_was_given(auth_host, run_flow, mailbox, seen):
    run_flow("signup", email=ANN, password=PASSWORD, given=CODE)
    seen.given.clear()
    run_flow("request_password_reset", email=ANN)
    run_flow("reset_password", key=mailbox.key(), password=PASSWORD)
    assert ("account_ready", CODE) in seen.given
    assert sealed_given(auth_host) == [None]


def test_a_mistyped_address_is_replaced_and_the_later_request_counts(auth_host, run_flow, mailbox, seen):
    run_flow("signup", email=BOB, password=PASSWORD, given={**CODE, "campaign": "may"})
    seen.given.clear()
    run_flow("change_pending_email", email=ANN)
    assert seen.given == [("before_signup", {**CODE, "campaign": "may"})]
    seen.given.clear()
    run_flow("confirm_email", key=mailbox.key(), given={"campaign": "june", "page": "welcome"})
    expected = {**CODE, "campaign": "june", "page": "welcome"}
    assert seen.given[:2] == [("email_confirmed", expected), ("account_ready", expected)]


def test_an_administrative_verification_completes_the_signup_with_what_it_was_given(
    auth_host, run_flow, seen
):
    run_flow("signup", email=ANN, password=PASSWORD, given=CODE)
    with auth_host.reader.connect() as connection:
        user_id = connection.execute(select(users.c.id)).scalar_one()
    seen.given.clear()
    with auth_host.request(given={"page": "7"}) as request:
        request.accounts.verify_email(user_id, ANN)
        assert dict(request.given) == {"page": "7"}
        assert request.sociallogin is None
    assert seen.given == [(hook, {**CODE, "page": "7"}) for hook in ("email_confirmed", "account_ready")]


def test_an_added_address_brings_nothing_of_the_signup(auth_host, run_flow, mailbox, seen):
    run_flow("signup", email=ANN, password=PASSWORD, given=CODE)
    run_flow("confirm_email", key=mailbox.key())
    run_flow("add_email", email=BOB)
    seen.given.clear()
    run_flow("confirm_email", key=mailbox.key())
    assert seen.given == [("email_confirmed", {})]


def test_the_next_flow_of_a_unit_has_only_what_the_unit_was_given(auth_host, run_flow, mailbox, seen):
    run_flow("signup", email=ANN, password=PASSWORD, given=CODE)
    with run_flow.request(given={"page": "7"}) as request:
        auth_host.account.confirm_email(request, key=mailbox.key())
        assert dict(request.given) == {**CODE, "page": "7"}
        auth_host.account.logout(request)
        assert dict(request.given) == {"page": "7"}


def test_without_the_key_the_signup_is_completed_without_what_it_was_given(
    database_url, clock, mailbox, caplog
):
    settings: dict[str, Any] = {"email_verification": "mandatory"}
    with open_host(
        database_url, {"box": mailbox}, clock=clock, encryption_keys=("a" * 32,), **settings
    ) as host:
        Browser(host)("signup", email=ANN, password=PASSWORD, given=CODE)
    seen = Seen()
    plugins = {"seen": seen, "box": mailbox}
    with (
        open_host(database_url, plugins, clock=clock, encryption_keys=("b" * 32,), **settings) as host,
        caplog.at_level(logging.WARNING),
    ):
        Browser(host)("confirm_email", key=mailbox.key(), given={"page": "7"})
        assert ("account_ready", {"page": "7"}) in seen.given
        assert sealed_given(host) == [None]
    assert "encryption_keys" in caplog.text
    assert CODE["invitation"] not in caplog.text


# Social login.


def test_given_comes_back_from_the_provider(auth_host, run_flow, seen):
    run_flow.social(email=ANN, email_verified=True, given=CODE)
    hooks = ["pre_social_login", "before_signup", "user_signed_up", "account_ready", "before_login"]
    assert seen.given == [(hook, CODE) for hook in [*hooks, "user_logged_in"]]
    with auth_host.engine.connect() as connection:
        assert not connection.execute(select(social_steps)).all()
    assert sealed_given(auth_host) == [None]


def test_given_waits_at_the_provider_encrypted(auth_host, run_flow):
    redirect = run_flow.start_social(given=CODE)
    assert CODE["invitation"] not in redirect.url
    with auth_host.engine.connect() as connection:
        [sealed] = connection.execute(select(social_steps.c.sealed)).scalars()
    assert b"secret" not in sealed


def test_each_request_of_a_social_signup_adds_to_what_was_given(auth_host, run_flow, mailbox, seen):
    redirect = run_flow.start_social(given={**CODE, "step": "begin"})
    waiting = run_flow.finish_social(redirect, given={"step": "complete", "campaign": "may"})
    values = {"signup_token": waiting.signup_token, "email": ANN}
    run_flow("social_signup", **values, given={"step": "signup"})
    steps = {**CODE, "campaign": "may", "step": "signup"}
    hooks = ["before_signup", "user_signed_up"]
    assert seen.given == [
        ("pre_social_login", {**CODE, "campaign": "may", "step": "complete"}),
        *[(hook, steps) for hook in hooks],
    ]
    seen.given.clear()
    run_flow("confirm_email", key=mailbox.key(), given={"step": "confirm"})
    assert seen.given[1] == ("account_ready", {**steps, "step": "confirm"})
    assert sealed_given(auth_host) == [None]


def test_connect_and_a_refusal_have_it_too(run_flow, seen):
    run_flow.social(email=ANN, email_verified=True)
    seen.given.clear()
    run_flow.social("connect", sub="anns-other", given=CODE)
    assert seen.given == [("pre_social_login", CODE), ("social_account_added", CODE)]
    seen.given.clear()
    with pytest.raises(ProviderDenied):
        run_flow.social(agree=False, given=CODE)
    assert seen.given == [("flow_refused", CODE)]


# The social login of a request.


def logins(seen: Seen, *hooks: str) -> list[Any]:
    return [login for hook, login in seen.sociallogins if not hooks or hook in hooks]


def test_every_hook_of_a_social_login_has_it(auth_host, run_flow, seen):
    run_flow.social(email=ANN, email_verified=True, name="Ann")
    [first, *others] = logins(seen)
    assert all(each is first for each in others)
    assert (first.account.name, first.is_existing) == ("Ann", True)
    seen.sociallogins.clear()
    with run_flow.request() as request:
        auth_host.account.logout(request)
        assert request.sociallogin is None
    run_flow.social(email=ANN, email_verified=True)
    assert seen.sociallogins[0][0] == "social_account_updated"
    assert None not in logins(seen)


def test_other_flows_have_none(run_flow, mailbox, seen):
    run_flow("signup", email=ANN, password=PASSWORD)
    run_flow("confirm_email", key=mailbox.key())
    run_flow("login", identifier=ANN, password=PASSWORD)
    with run_flow.request() as request:
        assert request.sociallogin is None
    assert set(logins(seen)) == {None}


def test_after_a_form_it_is_restored_with_its_token(run_flow, mailbox, seen):
    waiting = run_flow.social(name="Bob", preferred_username="bobby", picture="https://images.example.org/b")
    token = logins(seen)[0].token.reveal()
    seen.sociallogins.clear()
    run_flow("social_signup", signup_token=waiting.signup_token, email=BOB)
    [login] = logins(seen, "user_signed_up")
    assert login.token.reveal() == token
    account = login.account
    assert (account.name, account.username, account.picture) == (
        "Bob",
        "bobby",
        "https://images.example.org/b",
    )
    assert account.user_id == login.user.id
    with run_flow.request() as request, pytest.raises(ValueError, match="pre_social_login"):
        login.connect(request, login.user)


@pytest.mark.parametrize("form", [False, True])
def test_a_confirmation_that_completes_a_social_signup_restores_it(run_flow, mailbox, seen, form):
    if form:
        waiting = run_flow.social(sub="bob", name="Bob")
        run_flow("social_signup", signup_token=waiting.signup_token, email=BOB)
    else:
        run_flow.social(sub="bob", email=BOB, email_verified=False, name="Bob")
    [before] = logins(seen, "user_signed_up")
    seen.sociallogins.clear()
    run_flow("confirm_email", key=mailbox.key())
    restored = logins(seen, "account_ready")[0]
    assert logins(seen) == [restored] * 4
    assert (restored.process, restored.account) == ("login", before.account)
    assert restored.token.reveal() == before.token.reveal()
    assert [each.email for each in restored.email_addresses] == ([] if form else [BOB])
    assert restored.user.email == BOB
    with run_flow.request() as request, pytest.raises(ValueError, match="pre_social_login"):
        restored.connect(request, restored.user)


def test_a_confirmation_elsewhere_removes_the_connection_and_has_none(auth_host, run_flow, mailbox, seen):
    run_flow.social(sub="bob", email=BOB, email_verified=False, given=CODE)
    seen.sociallogins.clear()
    Browser(auth_host)("confirm_email", key=mailbox.key())
    assert ("account_ready", None) in seen.sociallogins


@pytest.mark.parametrize("reads", [True, False])
def test_restoring_it_costs_nothing_unless_a_plugin_reads_it(make_host, now, mailbox, openid_provider, reads):
    plugins: dict[str, object] = {"box": mailbox, **({"seen": Seen()} if reads else {})}
    host = make_host(
        plugins,
        providers=openid_provider.settings,
        email_verification="mandatory",
        login_on_email_confirmation=True,
    )
    browser, statements = Browser(host, openid_provider), []
    browser.social(sub="bob", email=BOB, email_verified=False)
    event.listen(host.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    browser("confirm_email", key=mailbox.key())
    assert any("authhost_social_account" in each for each in statements) is reads


class Refuses:
    """Ends a flow in a hook, after the social account is stored."""

    @hookimpl
    def before_login(self, request: Any) -> None:
        raise Refused("no", "No.")


def test_a_refusal_has_the_social_login_without_what_was_rolled_back(
    make_host, now, mailbox, openid_provider
):
    seen = Seen()
    host = make_host(
        {"box": mailbox, "refuses": Refuses(), "seen": seen},
        email_verification="none",
        providers=openid_provider.settings,
    )
    with pytest.raises(Vetoed):
        Browser(host, openid_provider).social(email=ANN, email_verified=True)
    [refused] = logins(seen, "flow_refused")
    assert not refused.is_existing
    assert (refused.account.id, refused.user) == (None, None)


class Nested:
    """Runs another flow in a hook."""

    def __init__(self) -> None:
        self.host: Any = None
        self.seen: list[Any] = []

    @hookimpl
    def user_signed_up(self, request: Any) -> None:
        if request.sociallogin is not None:
            self.host.account.signup(request, email=BOB, password=PASSWORD)
            self.seen.append((request.sociallogin.account.uid, dict(request.given)))
        else:
            self.seen.append((None, dict(request.given)))


def test_a_flow_in_a_hook_has_none_and_the_outer_flow_has_its_own_again(
    make_host, now, mailbox, openid_provider
):
    nested = Nested()
    nested.host = make_host(
        {"box": mailbox, "nested": nested}, email_verification="none", providers=openid_provider.settings
    )
    Browser(nested.host, openid_provider).social(sub="ann", email=ANN, email_verified=True, given=CODE)
    assert nested.seen == [(None, {}), ("ann", CODE)]


class Stops:
    @hookimpl
    def pre_social_login(self, request: Any) -> None:
        if "invitation" not in request.given:
            raise StopFlow(response="/invited-only")


def test_an_invitation_is_checked_when_the_person_returns_from_the_provider(
    make_host, now, mailbox, openid_provider
):
    host = make_host({"box": mailbox, "stops": Stops()}, providers=openid_provider.settings)
    assert Browser(host, openid_provider).social(email=ANN, email_verified=True).response == "/invited-only"
    invited = Browser(host, openid_provider).social(email=ANN, email_verified=True, given=CODE)
    assert invited.login.authenticated


# A change by `request.accounts` that completes a signup.


class Verifies:
    """Verifies an address in the hook of a signup: ``email``, or that of the user who signs up."""

    def __init__(self, email: str | None) -> None:
        self.email = email

    @hookimpl
    def user_signed_up(self, request: Any, user: Any) -> None:
        if request.sociallogin is None:
            return
        email, owner = self.email or user.email, user.id
        if self.email is not None:
            [owner] = request.db.execute(select(addresses.c.user_id).where(addresses.c.email == email)).one()
        request.accounts.verify_email(owner, email)


@pytest.fixture
def host_that_verifies(make_host, now, mailbox, openid_provider, seen):
    def make(email: str | None) -> Any:
        plugins = {"box": mailbox, "verifies": Verifies(email), "seen": seen}
        return make_host(plugins, email_verification="mandatory", providers=openid_provider.settings)

    return make


def test_a_change_completes_the_signup_of_another_user_with_what_that_one_was_given(
    host_that_verifies, openid_provider, seen
):
    host = host_that_verifies(BOB)
    Browser(host)("signup", email=BOB, password=PASSWORD, given={"invitation": "bobs"})
    seen.given.clear()
    seen.sociallogins.clear()
    anns = {"invitation": "anns", "campaign": "may"}
    Browser(host, openid_provider).social(email=ANN, email_verified=True, given=anns)
    ready = [given for hook, given in seen.given if hook == "account_ready"]
    assert ready == [{"invitation": "bobs"}, anns]
    [none, login] = logins(seen, "account_ready")
    assert none is None
    assert login.user.email == ANN
    assert seen.given[-1] == ("user_logged_in", anns)


def test_a_change_completes_the_signup_of_the_same_user_with_what_it_has(
    host_that_verifies, openid_provider, seen
):
    host = host_that_verifies(None)
    Browser(host, openid_provider).social(email=ANN, email_verified=False, given=CODE)
    assert ("account_ready", CODE) in seen.given
    [login] = logins(seen, "account_ready")
    assert login.account.user_id == login.user.id


# Hooks about another user than that of the flow.


class SeenOfOthers(Seen):
    """Also records the hooks that another flow may call for its former user."""


for _hook in ("user_logged_out", "session_ended", "email_removed"):
    setattr(SeenOfOthers, _hook, _noting(_hook))


@pytest.fixture
def others():
    return SeenOfOthers()


def test_the_user_who_was_logged_in_before_has_nothing_of_the_next_one(make_host, mailbox, others):
    host = make_host({"box": mailbox, "seen": others}, email_verification="none")
    browser = Browser(host)
    browser("signup", email=ANN, password=PASSWORD)
    others.given.clear()
    browser("signup", email=BOB, password=PASSWORD, given=CODE)
    assert ("user_logged_out", {}) in others.given
    assert ("session_ended", {}) in others.given
    assert others.given[-1] == ("user_logged_in", CODE)
    others.given.clear()
    browser("login", identifier=BOB, password=PASSWORD, given=CODE)
    browser("logout", given=CODE)
    assert {"session_ended", "user_logged_out"} <= set(others.names())
    assert all(given == CODE for _, given in others.given)


def test_the_user_before_a_social_login_has_nothing_of_it(make_host, now, mailbox, openid_provider, others):
    host = make_host(
        {"box": mailbox, "seen": others}, email_verification="none", providers=openid_provider.settings
    )
    browser = Browser(host, openid_provider)
    browser("signup", email=BOB, password=PASSWORD)
    others.sociallogins.clear()
    others.given.clear()
    browser.social(email=ANN, email_verified=True, given=CODE)
    assert ("user_logged_out", {}) in others.given
    assert ("user_logged_out", None) in others.sociallogins
    assert others.given[-1] == ("user_logged_in", CODE)


def test_the_user_who_loses_an_address_has_nothing_of_the_one_who_has_verified_it(
    make_host, now, mailbox, openid_provider, others
):
    host = make_host(
        {"box": mailbox, "seen": others}, email_verification="optional", providers=openid_provider.settings
    )
    Browser(host)("signup", email=BOB, password=PASSWORD)
    others.given.clear()
    others.sociallogins.clear()
    Browser(host, openid_provider).social(email=BOB, email_verified=True, given=CODE)
    assert ("email_removed", {}) in others.given
    assert ("email_removed", None) in others.sociallogins
    assert others.given[-1] == ("user_logged_in", CODE)
