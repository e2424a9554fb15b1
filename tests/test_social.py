"""Each row of the social table, login by login, against a real OpenID Connect provider."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from threading import Barrier, Thread
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from authhost_hookspecs import Profile, ProviderEmail, Refused, StopFlow, hookimpl
from conftest import PASSWORD, Declares
from hypothesis import example, given, settings, strategies as st
from sqlalchemy import func, select

from authhost import Settings
from authhost.errors import (
    AccountInactive,
    AuthError,
    EmailTaken,
    InvalidInput,
    InvalidState,
    LastLoginMethod,
    LoginRequired,
    ProviderDenied,
    ProviderNotFound,
    ReauthenticationRequired,
    SignupClosed,
    SocialAccountNotFound,
    SocialAccountTaken,
    Vetoed,
)
from authhost.socialaccount import cookie_name
from authhost.socialaccount.begin import validate_next
from authhost.store.tables import addresses, sessions, social_accounts, social_steps, users

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture
def make(make_host, openid, clock):
    """A host with the provider ``corp``, whose word on addresses counts."""
    clock.now = datetime.now(UTC)

    def make(plugins=None, corp=None, **settings):
        given = {
            "provider": "openid_connect",
            "server": openid.url,
            "client_id": "site",
            "client_secret": "of-the-site",
            "trust_emails": True,
            **(corp or {}),
        }
        return make_host(plugins, providers={"corp": given}, **settings)

    return make


@pytest.fixture
def come(arrive, openid):
    """Come from the provider as a person: ``come(host, "ann")``."""

    def come(host, sub, token=None, **values):
        return arrive(host, "corp", lambda url: openid.agree(url, sub), token, **values)

    return come


@pytest.fixture
def ann(openid):
    return openid.person("ann", email=ANN, email_verified=True, name="Ann")


def count(host, table):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


class Listener:
    """What it hears, with the provider that the unit is about."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def social_login_begun(self, request, provider, process):
        self.heard.append(("social_login_begun", provider, process))

    @hookimpl
    def user_signed_up(self, request):
        self.heard.append(("user_signed_up", request.provider))

    @hookimpl
    def flow_refused(self, request, flow):
        self.heard.append((flow, request.provider))


def test_a_plugin_hears_who_leaves_for_which_provider(make, come, ann, run):
    listener = Listener()
    host = make({"listener": listener}, email_verification="none")
    come(host, ann)
    with pytest.raises(ProviderDenied):
        arrive_denied(host)
    run(host, "signup", email=BOB, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier=BOB, password="wrong")
    assert listener.heard == [
        ("social_login_begun", "corp", "login"),
        ("user_signed_up", "corp"),
        ("social_login_begun", "corp", "login"),
        ("social_complete", "corp"),
        ("user_signed_up", None),
        ("login", None),
    ]


def arrive_denied(host):
    with host.request() as request:
        redirect = host.socialaccount.begin(request, "corp")
    [state] = parse_qs(urlsplit(redirect.url).query)["state"]
    with host.request() as request:
        denied = {"state": state, "error": "access_denied"}
        host.socialaccount.complete(request, "corp", params=denied, state_token=redirect.state_token)


# Login and signup.

PROFILE = {
    "name": "Ann A. Example",
    "preferred_username": "ann",
    "picture": "https://images.example.org/ann.png",
}


def test_the_profile_is_stored_and_updated_at_each_login(make, come, openid, recorder):
    host = make(email_verification="none")
    openid.person("ann", email=ANN, email_verified=True, **PROFILE)
    account = come(host, "ann").account
    assert (account.name, account.username, account.picture) == tuple(PROFILE.values())
    openid.person("ann", email=ANN, email_verified=True, name="Ann Married")
    result = come(host, "ann")
    [sociallogin] = [
        each.arguments["sociallogin"] for each in recorder if each.name == "social_account_updated"
    ]
    for each in (result.account, sociallogin.account, stored(host, result)):
        assert (each.name, each.username, each.picture) == ("Ann Married", None, None)
    assert "Married" not in repr(sociallogin)


def stored(host, result):
    with host.request(session_token=result.login.session_token) as request:
        [account] = host.socialaccount.list_accounts(request)
    return account


def test_the_profile_survives_the_form_of_a_signup(make, come, openid):
    host = make(email_verification="none")
    openid.person("ann", **PROFILE)
    waiting = come(host, "ann")
    with host.request() as request:
        result = host.socialaccount.signup(request, signup_token=waiting.signup_token, email=ANN)
    account = stored(host, result)
    assert (account.name, account.username, account.picture) == tuple(PROFILE.values())


@pytest.mark.parametrize("verification", ["none", "optional", "mandatory"])
def test_no_account_yet_and_a_verified_address(make, come, recorder, ann, verification):
    host = make(email_verification=verification)
    result = come(host, ann, next="/inbox")
    assert recorder.names == ["pre_social_login", "user_signed_up", "user_logged_in"]
    assert (result.login.user.email, result.next) == (ANN, "/inbox")
    assert result.login.user.has_usable_password is False
    with host.request(session_token=result.login.session_token) as request:
        [address] = host.account.list_emails(request)
        [proof] = request.authentication
    assert (address.verified, address.primary) == (True, True)
    assert (proof.method, proof.provider) == ("socialaccount", "corp")
    assert recorder.messages == []


@pytest.mark.parametrize(
    ("verification", "names"),
    [
        ("none", ["user_signed_up", "user_logged_in"]),
        ("optional", ["user_signed_up", "email_confirmation_sent", "user_logged_in"]),
        ("mandatory", ["user_signed_up", "email_confirmation_sent"]),
    ],
)
def test_no_account_yet_and_an_unverified_address(make, come, recorder, openid, run, verification, names):
    host = make(email_verification=verification)
    result = come(host, openid.person("new", email=ANN, email_verified=False))
    assert recorder.names == ["pre_social_login", *names]
    assert result.login.authenticated is (verification != "mandatory")
    if verification == "mandatory":
        assert result.account.user_id is None
        recorder.calls.clear()
        run(host, "confirm_email", result.login.session_token, key=recorder.key())
        assert come(host, "new").login.authenticated
        assert recorder.names[1:] == ["social_account_updated", "pre_social_login", "user_logged_in"]


def test_a_provider_that_is_not_trusted_cannot_verify(make, come, recorder, ann):
    host = make(corp={"trust_emails": False}, email_verification="mandatory")
    assert come(host, ann).login.waits_for == "email_verification"
    assert recorder.names == ["pre_social_login", "user_signed_up", "email_confirmation_sent"]


def test_account_known(make, come, recorder, openid, clock):
    host = make()
    come(host, openid.person("known", email=ANN, email_verified=True, name="Ann"))
    recorder.calls.clear()
    clock.forward(seconds=30)
    openid.person("known", email=BOB, email_verified=True, name="Anna")
    result = come(host, "known")
    assert recorder.names == ["social_account_updated", "pre_social_login", "user_logged_in"]
    sociallogin = recorder.calls[0][1]["sociallogin"]
    assert (sociallogin.is_existing, sociallogin.process) == (True, "login")
    assert sociallogin.account.extra_data["name"] == "Anna"
    assert result.account.last_login == clock.now > result.account.date_joined
    # An address at the provider changes nothing here.
    assert result.login.user.email == ANN


@pytest.mark.parametrize(
    ("one", "other"), [("AbC", "aBc"), ("stra\u00dfe", "strasse"), ("e\u0301", "e"), ("1", "\uff11")]
)
def test_uids_that_look_alike_are_two_people(make, come, openid, one, other):
    host = make(email_verification="none")
    first = come(host, openid.person(one, email=ANN, email_verified=True))
    second = come(host, openid.person(other, email=BOB, email_verified=True))
    assert (first.account.uid, second.account.uid) == (one, other)
    assert first.login.user.id != second.login.user.id
    assert come(host, one).login.user.id == first.login.user.id


def test_login_as_somebody_else_logs_out_first(make, come, recorder, ann, openid):
    host = make()
    token = come(host, openid.person("bob", email=BOB, email_verified=True)).login.session_token
    recorder.calls.clear()
    come(host, ann, token)
    assert recorder.names == ["pre_social_login", "user_logged_out", "user_signed_up", "user_logged_in"]
    assert recorder.calls[1][1]["user"].email == BOB
    assert count(host, sessions) == 1


def test_a_refused_login_leaves_the_other_one_logged_in(make, come, ann, openid):
    host = make({"veto": VetoesAnn()})
    token = come(host, openid.person("bob", email=BOB, email_verified=True)).login.session_token
    with pytest.raises(Vetoed):
        come(host, ann, token)
    with host.request(session_token=token) as request:
        assert request.user.email == BOB


def test_a_deactivated_account_stays_out(make, come, recorder, ann, run):
    host = make()
    token = come(host, ann).login.session_token
    run(host, "deactivate", token)
    recorder.calls.clear()
    with pytest.raises(AccountInactive):
        come(host, ann)
    assert recorder.names == ["social_account_updated", "pre_social_login", "flow_refused"]
    assert recorder.calls[-1][1]["flow"] == "social_complete"
    assert count(host, sessions) == 0


def test_redirect_only_proves_who_it_is(make, come, recorder, ann):
    host = make()
    result = come(host, ann, process="redirect", next="/who")
    assert (result.process, result.next, result.login) == ("redirect", "/who", None)
    assert recorder.names == ["pre_social_login"]
    assert count(host, users) == 0


def test_closed_signup(make, come, recorder, ann):
    host = make(signup_open=False)
    with pytest.raises(SignupClosed):
        come(host, ann)
    assert recorder.names == ["pre_social_login", "flow_refused"]
    assert count(host, users) == count(host, social_accounts) == 0


class VetoesAnn:
    @hookimpl
    def before_login(self, user):
        if user.email == ANN:
            raise Refused("not_ann", "Not Ann.")


class Veto:
    @hookimpl
    def before_signup(self, email):
        raise Refused("not_you", f"No {email}.")


def test_a_veto_stops_a_social_signup(make, come, ann):
    host = make({"veto": Veto()})
    with pytest.raises(Vetoed):
        come(host, ann)
    assert count(host, users) == 0


# An address that a local account has.


def test_a_taken_address_asks_for_another(make, come, recorder, ann, run):
    host = make()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    recorder.calls.clear()
    result = come(host, ann, next="/x")
    assert recorder.names == ["pre_social_login"]
    assert (result.login, result.missing) == (None, ("email",))
    with host.request() as request, pytest.raises(EmailTaken):
        host.socialaccount.signup(request, signup_token=result.signup_token, email=ANN)
    with host.request() as request:
        done = host.socialaccount.signup(request, signup_token=result.signup_token, email=BOB)
    assert (done.login.user.email, done.next) == (BOB, "/x")
    names = [name for name in recorder.names if name != "flow_refused"]
    assert names == ["pre_social_login", "user_signed_up", "email_confirmation_sent", "user_logged_in"]


def test_a_taken_address_is_not_told_where_verification_is_mandatory(make, come, recorder, run, openid):
    host = make(email_verification="mandatory")
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    recorder.calls.clear()
    taken = come(host, openid.person("thief", email=ANN, email_verified=False))
    assert recorder.names == ["pre_social_login", "user_signed_up"]
    assert recorder.messages[-1].kind == "signup_existing_account"
    free = come(host, openid.person("free", email=BOB, email_verified=False))
    for result in (taken, free):
        assert (result.login.waits_for, result.account.id) == ("email_verification", None)
    assert count(host, users) == 3


def test_an_unverified_claim_yields_to_an_address_that_a_provider_has_verified(
    make, come, recorder, run, ann
):
    host = make()
    planted = run(host, "signup", email=ANN, password=PASSWORD)
    recorder.calls.clear()
    owner = come(host, ann).login.user
    assert recorder.names[:3] == ["pre_social_login", "email_removed", "user_signed_up"]
    with host.request(session_token=planted.session_token) as request:
        assert request.user_by_email(ANN).id == owner.id
        assert (request.user.email, request.user.email_verified) == (None, False)
    assert (owner.email, owner.email_verified) == (ANN, True)


def test_an_unverified_claim_does_not_yield_to_an_unverified_address(make, come, recorder, run, openid):
    host = make()
    run(host, "signup", email=ANN, password=PASSWORD)
    recorder.calls.clear()
    assert come(host, openid.person("ann", email=ANN, email_verified=False)).missing == ("email",)
    assert recorder.names == ["pre_social_login"]
    assert count(host, users) == 1


def test_further_addresses_come_along_where_they_are_free(make_host, arrive, scripted, run, recorder, clock):
    clock.now = datetime.now(UTC)

    def read_profile(data):
        emails = [ProviderEmail(each, True, each == ANN) for each in data["emails"]]
        return Profile(data["sub"], (*emails, ProviderEmail("odd@example.org", False)))

    host = make_host(
        {"declares": Declares(scripted.plain(read_profile=read_profile))},
        providers={"odd": {"client_id": "a", "client_secret": "b"}},
    )
    taken = run(host, "signup", email="taken@example.org", password=PASSWORD).session_token
    run(host, "confirm_email", taken, key=recorder.key())
    scripted.userinfo = {"sub": "1", "emails": ["taken@example.org", BOB, ANN, ANN.upper()]}
    result = arrive(host, "odd", scripted.agree)
    with host.request(session_token=result.login.session_token) as request:
        found = [(each.email, each.verified, each.primary) for each in host.account.list_emails(request)]
        assert request.user_by_email(BOB).id == result.login.user.id
        assert request.user_by_email("nobody") is None
    assert found == [(ANN, True, True), (BOB, True, False)]


def test_login_by_email(make, come, recorder, run, ann):
    host = make(corp={"login_by_email": True})
    signup = run(host, "signup", email=ANN, password=PASSWORD)
    user = signup.user
    run(host, "confirm_email", signup.session_token, key=recorder.key())
    recorder.calls.clear()
    result = come(host, ann)
    assert recorder.names == ["pre_social_login", "social_account_added", "user_logged_in"]
    assert recorder.calls[0][1]["sociallogin"].user.id == user.id == result.login.user.id
    assert result.login.user.has_usable_password is True
    come(host, ann)
    assert recorder.names[3:] == ["social_account_updated", "pre_social_login", "user_logged_in"]


def test_login_by_email_takes_a_planted_account_away(make, come, recorder, run, ann, openid):
    """Somebody signed up with Ann's address and added ways in: none of them is left."""
    host = make(corp={"login_by_email": True})
    planted = run(host, "signup", email=ANN, password=PASSWORD)
    token = planted.session_token
    run(host, "add_email", token, email="mallory@example.org")
    run(host, "confirm_email", token, key=recorder.key())
    come(host, openid.person("mallory"), token, process="connect")
    run(host, "request_password_reset", email=ANN)
    reset_key = recorder.key()
    recorder.calls.clear()
    result = come(host, ann)
    assert recorder.names == [
        "pre_social_login",
        "email_removed",
        "social_account_removed",
        "social_account_added",
        "user_logged_in",
    ]
    assert result.login.user.id == planted.user.id
    assert result.login.user.has_usable_password is False
    with host.request(session_token=token) as request:
        assert request.user is None
    for flow, values in (
        ("login", {"identifier": ANN, "password": PASSWORD}),
        ("reset_password", {"key": reset_key, "password": PASSWORD}),
    ):
        with pytest.raises(AuthError):
            run(host, flow, **values)
    with host.request(session_token=result.login.session_token) as request:
        [address] = host.account.list_emails(request)
        [account] = host.socialaccount.list_accounts(request)
    assert (address.email, address.verified, address.primary, account.uid) == (ANN, True, True, ann)


def test_no_login_by_email_for_an_address_that_the_provider_did_not_verify(make, come, run, recorder, openid):
    host = make(corp={"login_by_email": True})
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    result = come(host, openid.person("thief", email=ANN, email_verified=False))
    assert (result.login, result.missing) == (None, ("email",))
    assert count(host, social_accounts) == 0


# The pending signup.


def test_a_person_without_address_is_asked_for_one(make, come, recorder, openid, clock):
    host = make(email_verification="mandatory")
    result = come(host, openid.person("quiet", name="Q"))
    assert (result.login, result.missing) == (None, ("email",))
    with host.request() as request, pytest.raises(InvalidInput):
        host.socialaccount.signup(request, signup_token=result.signup_token)
    with host.request() as request:
        login = host.socialaccount.signup(
            request, signup_token=result.signup_token, email=ANN, username="quiet"
        ).login
    assert login.waits_for == "email_verification"
    with host.request() as request, pytest.raises(InvalidState):
        host.socialaccount.signup(request, signup_token=result.signup_token, email=BOB)
    late = come(host, openid.person("late"))
    clock.forward(seconds=901)
    with host.request() as request, pytest.raises(InvalidState):
        host.socialaccount.signup(request, signup_token=late.signup_token, email=BOB)
    assert host.delete_expired()["authhost_social_step"] == 1
    assert count(host, social_steps) == 0


def test_a_person_without_address_has_an_account_where_none_is_needed(make, come, recorder, openid):
    host = make(social_email_required=False, email_verification="none")
    assert come(host, openid.person("quiet")).login.user.email is None
    assert recorder.names == ["pre_social_login", "user_signed_up", "user_logged_in"]


def test_without_automatic_signup_the_person_agrees_first(make, come, recorder, ann):
    host = make(social_auto_signup=False)
    result = come(host, ann)
    assert (result.login, result.missing) == (None, ())
    assert count(host, users) == 0
    with host.request() as request:
        done = host.socialaccount.signup(request, signup_token=result.signup_token)
    assert done.login.user.email == ANN
    assert recorder.names == ["pre_social_login", "user_signed_up", "user_logged_in"]


# Connect and disconnect.


def signed_up(host, run, recorder, email):
    result = run(host, "signup", email=email, password=PASSWORD)
    recorder.calls.clear()
    return result


def test_connect_new_then_again(make, come, recorder, run, ann):
    host = make()
    token = signed_up(host, run, recorder, BOB).session_token
    result = come(host, ann, token, process="connect", next="/connections")
    assert recorder.names == ["pre_social_login", "social_account_added"]
    assert (result.login, result.next, result.account.uid) == (None, "/connections", ann)
    recorder.calls.clear()
    come(host, ann, token, process="connect")
    assert recorder.names == ["social_account_updated", "pre_social_login"]
    # No address comes along: it proves nothing about who owns the mailbox here.
    assert count(host, addresses) == 1


def test_connect_somebody_elses(make, come, recorder, run, openid):
    host = make()
    owner = come(host, openid.person("owned", email=ANN, email_verified=True, name="Before"))
    token = signed_up(host, run, recorder, BOB).session_token
    openid.person("owned", email=ANN, email_verified=True, name="After")
    with pytest.raises(SocialAccountTaken):
        come(host, "owned", token, process="connect")
    assert recorder.names == ["pre_social_login", "flow_refused"]
    with host.request(session_token=owner.login.session_token) as request:
        [account] = host.socialaccount.list_accounts(request)
    assert account.extra_data["name"] == "Before"


def test_connect_needs_a_recent_login_of_the_same_session(make, come, recorder, run, ann, openid, clock):
    host = make()
    with pytest.raises(LoginRequired):
        come(host, ann, process="connect")
    token = signed_up(host, run, recorder, BOB).session_token
    with host.request(session_token=token) as request:
        redirect = host.socialaccount.begin(request, "corp", process="connect")
    params = openid.agree(redirect.url, ann)
    other = run(host, "login", identifier=BOB, password=PASSWORD).session_token
    with host.request(session_token=other) as request, pytest.raises(InvalidState):
        host.socialaccount.complete(request, "corp", params=params, state_token=redirect.state_token)
    clock.forward(seconds=301)
    with pytest.raises(ReauthenticationRequired):
        come(host, ann, token, process="connect")
    assert count(host, social_accounts) == 0


def test_disconnect(make, come, recorder, run, ann):
    host = make()
    token = signed_up(host, run, recorder, BOB).session_token
    account = come(host, ann, token, process="connect").account
    recorder.calls.clear()
    with host.request(session_token=token) as request:
        gone = host.socialaccount.disconnect(request, account_id=account.id)
    assert recorder.names == ["social_account_removed"]
    assert recorder.calls[0][1]["socialaccount"] == gone
    assert (gone.id, gone.uid) == (account.id, ann)
    with host.request(session_token=token) as request, pytest.raises(SocialAccountNotFound):
        host.socialaccount.disconnect(request, account_id=account.id)


def test_the_last_way_to_log_in_stays(make, come, recorder, run, ann, openid):
    host = make()
    result = come(host, ann)
    token = result.login.session_token
    recorder.calls.clear()
    with host.request(session_token=token) as request, pytest.raises(LastLoginMethod):
        host.socialaccount.disconnect(request, account_id=result.account.id)
    assert recorder.names == ["flow_refused"]
    come(host, openid.person("second"), token, process="connect")
    with host.request(session_token=token) as request:
        host.socialaccount.disconnect(request, account_id=result.account.id)
        [other] = host.socialaccount.list_accounts(request)
    with host.request(session_token=token) as request:
        token = host.account.set_password(request, password=PASSWORD).session_token
    with host.request(session_token=token) as request:
        host.socialaccount.disconnect(request, account_id=other.id)


# What a plugin may do in pre_social_login.


class ConnectsByEmail:
    """The classic: connect by e-mail inside the hook."""

    def __init__(self, then=None):
        self.then = then
        self.seen = None

    @hookimpl
    def pre_social_login(self, request, sociallogin):
        if sociallogin.is_existing:
            return
        for each in sociallogin.email_addresses:
            user = request.user_by_email(each.email) if each.verified else None
            if user is not None:
                sociallogin.connect(request, user)
                self.seen = sociallogin.is_existing, sociallogin.user
                if self.then is not None:
                    raise self.then
                return


def test_connect_by_email_inside_the_hook(make, come, recorder, run, ann):
    plugin = ConnectsByEmail()
    host = make({"connects": plugin})
    signup = signed_up(host, run, recorder, ANN)
    user = signup.user
    run(host, "confirm_email", signup.session_token, key=recorder.key())
    recorder.calls.clear()
    result = come(host, ann)
    assert recorder.names == ["pre_social_login", "social_account_added", "user_logged_in"]
    assert result.login.user.id == user.id
    assert (plugin.seen[0], plugin.seen[1].id) == (True, user.id)
    sociallogin = recorder.calls[1][1]["sociallogin"]
    with pytest.raises(ValueError, match="only during pre_social_login"):
        sociallogin.connect(recorder.calls[1][1]["request"], user)


def test_a_failed_connect_inside_the_hook_is_undone(make, come, recorder, run, ann):
    host = make({"connects": ConnectsByEmail(RuntimeError("after the connect"))})
    token = signed_up(host, run, recorder, ANN).session_token
    run(host, "confirm_email", token, key=recorder.key())
    recorder.calls.clear()
    result = come(host, ann)
    assert (result.login, result.missing) == (None, ("email",))
    assert recorder.names == ["pre_social_login"]
    assert recorder.calls[0][1]["sociallogin"].is_existing is False
    assert count(host, social_accounts) == 0


def test_a_plugin_stops_the_flow_with_its_own_answer(make, come, recorder, run, ann):
    host = make({"connects": ConnectsByEmail(StopFlow(response={"go": "elsewhere"}))})
    token = signed_up(host, run, recorder, ANN).session_token
    run(host, "confirm_email", token, key=recorder.key())
    recorder.calls.clear()
    result = come(host, ann)
    assert (result.stopped, result.response, result.login) == (True, {"go": "elsewhere"}, None)
    # What was stored so far stays, and is told.
    assert recorder.names[-1] == "social_account_added"
    assert count(host, social_accounts) == 1
    assert count(host, sessions) == 1


class Wraps:
    def __init__(self):
        self.saw = None

    @hookimpl(wrapper=True)
    def pre_social_login(self, sociallogin):
        try:
            return (yield)
        except StopFlow as stop:
            self.saw = stop.response
            return None


class Stops:
    @hookimpl
    def pre_social_login(self):
        raise StopFlow("no")


def test_a_wrapper_sees_a_stop_and_cannot_hide_it(make, come, ann):
    wrapper = Wraps()
    host = make({"wraps": wrapper, "stops": Stops()})
    assert come(host, ann).stopped
    assert wrapper.saw == "no"
    assert count(host, users) == 0


class StopsElsewhere:
    @hookimpl
    def user_logged_in(self):
        raise StopFlow("no")


def test_a_stop_in_any_other_hook_is_a_failure_of_the_plugin(make, come, ann):
    host = make({"stops": StopsElsewhere()})
    assert come(host, ann).login.authenticated
    assert host.plugin_stats()["stops", "user_logged_in"].failures == 1


# Refusals before anything is stored.


def test_unknown_provider_and_process(make, come, ann):
    host = make()
    with host.request() as request, pytest.raises(ProviderNotFound):
        host.socialaccount.begin(request, "corpse")
    with pytest.raises(InvalidInput):
        come(host, ann, process="steal")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("kind", ["openid", "oauth1"])
def test_several_tabs_have_a_cookie_each(make_host, scripted, oauth1, clock, kind, order):
    clock.now = datetime.now(UTC)
    settings = {
        "openid": {"provider": "openid_connect", "server": scripted.url, "client_id": "site"},
        "oauth1": {"client_id": oauth1.client, "client_secret": oauth1.secret},
    }
    host = make_host({"declares": Declares(oauth1.declaration())}, providers={kind: settings[kind]})
    agree = {"openid": scripted.agree, "oauth1": oauth1.agree}[kind]
    cookies, tabs = {}, []
    for target in ("/one", "/two"):
        with host.request() as request:
            redirect = host.socialaccount.begin(request, kind, process="redirect", next=target)
        cookies[redirect.cookie_name] = redirect.state_token
        tabs.append((agree(redirect.url), target))
    assert len(cookies) == 2
    for tab in order:
        params, target = tabs[tab]
        with host.request() as request:
            state_token = cookies.pop(cookie_name(params))
            result = host.socialaccount.complete(request, kind, params=params, state_token=state_token)
        assert result.next == target


@pytest.mark.parametrize(
    "params",
    [{}, {"state": ""}, {"state": None}, {"state": "\udc80"}, {"state": ["x"]}, {"state": "x" * 10**6}],
)
def test_any_callback_names_a_cookie(params):
    name = cookie_name(params)
    assert re.fullmatch(r"__Host-authhost-social-[0-9a-f]{16}", name)


def test_the_name_of_the_cookie_tells_nothing(make_host, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site"}
    host = make_host(providers={"corp": app})
    with host.request() as request:
        redirect = host.socialaccount.begin(request, "corp")
    state = parse_qs(urlsplit(redirect.url).query)["state"][0]
    assert state not in redirect.cookie_name
    assert redirect.state_token not in redirect.cookie_name + repr(redirect)
    denied = cookie_name({"state": state, "error": "access_denied"})
    assert denied == redirect.cookie_name


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "https:///evil.example",
        "https://localhost:8000@evil.example/",
        "http://[",
        "evil",
        "/a\nb",
        "",
        7,
    ],
)
def test_next_leads_to_no_other_site(make, come, ann, target):
    with pytest.raises(InvalidInput) as caught:
        come(make(), ann, next=target)
    assert caught.value.fields["field"] == "next"


@pytest.mark.parametrize("target", ["/", "/a?b=c#d", "http://localhost:8000/x", "https://app.example.org/x"])
def test_next_leads_to_own_pages(make, come, ann, target):
    assert come(make(allowed_next_hosts=("app.example.org",)), ann, next=target).next == target


@settings(max_examples=500)
@given(st.text(alphabet=st.sampled_from("/\\\t\n @:.?#%a0[]-ehtps"), max_size=24) | st.text(max_size=24))
@example("https:/evil.example")
@example("///evil.example")
@example("/\t/evil.example")
def test_whatever_next_is_taken_stays_here(target):
    """As a browser reads it: white space dropped, backslashes turned, the rest resolved (WHATWG URL)."""
    own = Settings(secret_key="k" * 48, base_url="https://site.example")
    try:
        taken = validate_next(own, target)
    except InvalidInput:
        return
    read = "".join(each for each in taken.strip() if each not in "\t\n\r").replace("\\", "/")
    read = re.sub(r"^(https?:)/*", r"\1//", read)
    found = urlsplit(urljoin("https://site.example/account/", re.sub("^/{2,}", "//", read)))
    assert (found.scheme, found.netloc) == ("https", "site.example")


def test_a_denial_is_told(make, arrive, recorder, openid):
    host = make()
    with pytest.raises(ProviderDenied) as caught:
        arrive(host, "corp", lambda url: {**openid.deny(url), "state": _state(url)})
    assert caught.value.fields["error"] == "access_denied"
    assert recorder.names == ["flow_refused"]


def _state(url):
    from providers import returned

    return returned(url)["state"]


def test_complete_wants_a_unit_of_its_own(make, ann):
    host = make()
    with host.request() as request, pytest.raises(RuntimeError, match="unit of work of its own"):
        request.on_commit(lambda: None)
        host.socialaccount.complete(request, "corp", params={}, state_token="x")


# Many at once.


def test_a_hundred_first_logins_of_one_person_are_one_account(make, openid, recorder):
    host = make()
    openid.person("crowd", email=ANN, email_verified=True)
    ready = []
    for _ in range(100):
        with host.request() as request:
            redirect = host.socialaccount.begin(request, "corp")
        ready.append((redirect, openid.agree(redirect.url, "crowd")))
    barrier, results, errors = Barrier(20), [], []

    def work(mine):
        barrier.wait()
        for redirect, params in mine:
            try:
                with host.request() as request:
                    results.append(
                        host.socialaccount.complete(
                            request, "corp", params=params, state_token=redirect.state_token
                        )
                    )
            except Exception as error:
                errors.append(error)

    threads = [Thread(target=work, args=(ready[start::20],)) for start in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({result.login.user.id for result in results}) == 1
    assert count(host, users) == count(host, social_accounts) == count(host, addresses) == 1
    assert count(host, sessions) == 100
