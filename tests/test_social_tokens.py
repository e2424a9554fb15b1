"""Tokens of providers: kept where asked for, encrypted, refreshed, rotated."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from authhost_hookspecs import FlowError, hookimpl
from sqlalchemy import func, select

from authhost import ConfigurationError, Settings
from authhost.errors import InvalidIdToken, InvalidInput, LoginRequired, ProviderFailed, SocialAccountNotFound
from authhost.security.encryption import Encryption, Undecipherable
from authhost.store.tables import social_tokens
from authhost.testing import drain

OLD, NEW = "old-encryption-key-" * 2, "new-encryption-key-" * 2


@pytest.fixture
def make(make_host, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site", "trust_emails": True}

    def make(plugins=None, **settings):
        return make_host(
            plugins,
            providers={"corp": {"client_secret": "of-the-site", **app}},
            **{"store_social_tokens": True, "encryption_keys": (OLD,), **settings},
        )

    return make


def token_of(host, result, **more):
    with host.request(session_token=result.login.session_token) as request:
        return host.socialaccount.token(request, account_id=result.account.id, **more)


def sealed(host):
    with host.engine.connect() as connection:
        return connection.execute(select(social_tokens.c.sealed)).scalars().all()


def test_not_kept_unless_asked_for(make, arrive, scripted, recorder):
    host = make(store_social_tokens=False)
    result = arrive(host, "corp", scripted.agree)
    with pytest.raises(SocialAccountNotFound):
        token_of(host, result)
    assert sealed(host) == []
    assert recorder.calls[0][1]["sociallogin"].token.reveal()


def test_kept_encrypted(make, arrive, scripted, recorder):
    host = make()
    scripted.token_fields = {"scope": "openid email", "refresh_token": "the-refresh-token"}
    result = arrive(host, "corp", scripted.agree)
    token = token_of(host, result)
    assert token.reveal() == recorder.calls[0][1]["sociallogin"].token.reveal()
    assert (token.scopes, token.reveal_secret()) == (("openid", "email"), None)
    [stored] = sealed(host)
    assert token.reveal().encode() not in stored
    assert token.reveal() not in repr(token)
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_a_later_login_keeps_the_refresh_token(make, arrive, scripted, clock):
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    arrive(host, "corp", scripted.agree)
    scripted.token_fields = {}
    result = arrive(host, "corp", scripted.agree)
    assert token_of(host, result).reveal_refresh() == "first"


def test_refreshed_when_it_ends(make, arrive, scripted, clock):
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    result = arrive(host, "corp", scripted.agree)
    before = token_of(host, result)
    clock.forward(seconds=3600 - 59)
    scripted.token_fields = {"refresh_token": "second", "expires_in": 60, "access_token": "fresh"}
    after = token_of(host, result)
    assert (after.reveal(), after.reveal_refresh()) == ("fresh", "second")
    assert before.reveal() != after.reveal()
    assert scripted.seen[-1].form["refresh_token"] == "first"
    assert scripted.asked.count("/token") == 2


def test_an_id_token_of_a_refresh_is_about_the_same_person(make, arrive, scripted, clock):
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    result = arrive(host, "corp", scripted.agree)
    now = int(clock.now.timestamp()) + 4000
    claims = {"iss": scripted.url, "aud": "site", "iat": now, "exp": now + 600}
    clock.forward(seconds=4000)
    scripted.token_fields = {"id_token": scripted.signed({**claims, "sub": "somebody-else"})}
    with pytest.raises(InvalidIdToken):
        token_of(host, result)
    scripted.token_fields = {"id_token": scripted.signed({**claims, "sub": scripted.sub})}
    assert token_of(host, result).reveal_refresh() == "first"


def test_a_refresh_that_is_refused(make, arrive, scripted, clock, recorder):
    host = make()
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=4000)
    with pytest.raises(ProviderFailed) as caught:
        token_of(host, result)
    assert caught.value.fields["reason"] == "token_expired"
    scripted.token_fields = {"refresh_token": "first"}
    clock.forward(seconds=-4000)
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=4000)
    scripted.instead["/token"] = lambda handler: (400, {}, b'{"error": "invalid_grant"}')
    with pytest.raises(ProviderFailed) as caught:
        token_of(host, result)
    assert (caught.value.fields["reason"], caught.value.fields["error"]) == ("token_refused", "invalid_grant")
    assert recorder.calls[-1][1]["flow"] == "social_token"


def test_a_token_without_a_lifetime_is_refreshed_on_demand(make, arrive, scripted, clock):
    """Salesforce never says when a token ends."""
    host = make()
    scripted.token_fields = {"refresh_token": "first", "expires_in": None, "access_token": "old"}
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=10**6)
    assert token_of(host, result).reveal() == "old"
    scripted.token_fields = {"expires_in": None, "access_token": "new"}
    assert token_of(host, result, refresh=True).reveal() == "new"
    assert token_of(host, result).reveal() == "new"
    assert token_of(host, result).reveal_refresh() == "first"
    assert scripted.asked.count("/token") == 2


def test_a_refresh_on_demand_before_the_end(make, arrive, scripted):
    host = make()
    scripted.token_fields = {"refresh_token": "first", "access_token": "old"}
    result = arrive(host, "corp", scripted.agree)
    scripted.token_fields = {"access_token": "new", "refresh_token": None}
    assert token_of(host, result).reveal() == "old"
    assert token_of(host, result, refresh=True).reveal() == "new"
    assert token_of(host, result).reveal_refresh() == "first"


def test_a_refresh_on_demand_without_a_refresh_token(make, arrive, scripted):
    host = make()
    result = arrive(host, "corp", scripted.agree)
    with pytest.raises(ProviderFailed) as caught:
        token_of(host, result, refresh=True)
    assert caught.value.fields["reason"] == "no_refresh_token"
    assert token_of(host, result).reveal()


@pytest.mark.parametrize(
    ("reply", "fields", "says"),
    [
        ((503, {}, b"down"), {"reason": "http_error", "status": 503}, "later"),
        (
            (503, {}, b'{"error": "temporarily_unavailable"}'),
            {"reason": "http_error", "status": 503},
            "later",
        ),
        ((500, {}, b'{"error": "invalid_grant"}'), {"reason": "http_error", "status": 500}, "later"),
        ((429, {}, b"{}"), {"reason": "http_error", "status": 429}, "later"),
        ((404, {}, b"<html>"), {"reason": "http_error", "status": 404}, "later"),
        ((400, {}, b'{"error": "server_error"}'), {"reason": "http_error", "status": 400}, "later"),
        (
            (401, {}, b'{"error": "invalid_client"}'),
            {"reason": "token_refused", "error": "invalid_client"},
            "later",
        ),
        ((401, {}, b"[]"), {"reason": "http_error", "status": 401}, "later"),
        (
            (400, {}, b'{"error": "invalid_grant"}'),
            {"reason": "token_refused", "error": "invalid_grant"},
            "log in with it again",
        ),
        (
            (400, {}, b"error=invalid_grant"),
            {"reason": "token_refused", "error": "invalid_grant"},
            "log in with it again",
        ),
        (
            (200, {}, b'{"error": "bad_refresh_token"}'),
            {"reason": "token_refused", "error": "bad_refresh_token"},
            "log in with it again",
        ),
    ],
)
def test_a_provider_that_is_down_is_told_from_one_that_refuses(
    make, arrive, scripted, clock, reply, fields, says
):
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=4000)
    scripted.instead["/token"] = lambda handler: reply
    with pytest.raises(ProviderFailed) as caught:
        token_of(host, result)
    assert caught.value.fields == fields
    assert says in str(caught.value)
    scripted.instead.clear()
    assert token_of(host, result).reveal()  # the refresh token was not lost


@pytest.mark.parametrize(
    ("given", "lasts"),
    [
        (3600, 3600),
        ("3600", 3600),
        (3600.5, 3600),
        ("3600.0", 3600),
        ("", None),
        ("soon", None),
        ([], None),
        ({}, None),
        (True, None),
        (10**30, None),
        ("1e400", None),
        ("nan", None),
        (-5, -5),
    ],
)
def test_lifetimes_of_any_kind(make, arrive, scripted, recorder, given, lasts, clock):
    host = make()
    scripted.token_fields = {"expires_in": given, "expires_at": given}
    assert arrive(host, "corp", scripted.agree).login.authenticated
    token = recorder.calls[0][1]["sociallogin"].token
    assert token.expires_at == (None if lasts is None else clock.now + timedelta(seconds=lasts))


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ("repo,user:email", ("repo", "user:email")),
        ("repo user:email", ("repo", "user:email")),
        ("repo, user:email", ("repo", "user:email")),
        (["repo", "user:email"], ("repo", "user:email")),
        ("", ()),
        (None, ()),
        (7, ()),
        ({}, ()),
    ],
)
def test_scopes_of_any_kind(make, arrive, scripted, recorder, given, scopes):
    host = make()
    scripted.token_fields = {"scope": given}
    assert arrive(host, "corp", scripted.agree).login.authenticated
    assert recorder.calls[0][1]["sociallogin"].token.scopes == scopes


class Synchronises:
    """Asks for the token of each social account in a job."""

    def __init__(self):
        self.found = []

    @hookimpl
    def user_logged_in(self, request, user):
        request.in_background(self._synchronise, request.host, user.id)

    def _synchronise(self, host, user_id):
        for each in host.account(user_id).social_accounts:
            try:
                self.found.append(host.social_token(each).reveal())
            except FlowError as error:
                self.found.append(error.code)


def test_a_job_of_a_plugin_gets_a_fresh_token(make, arrive, scripted, clock):
    plugin = Synchronises()
    host = make({"synchronises": plugin})
    scripted.token_fields = {"refresh_token": "first", "access_token": "old", "expires_in": 60}
    result = arrive(host, "corp", scripted.agree)
    drain(host)
    clock.forward(seconds=4000)
    scripted.token_fields = {"access_token": "fresh", "expires_in": 3600}
    [account] = host.account(result.login.user.id).social_accounts
    assert host.social_token(account).reveal() == "fresh"
    assert host.account(result.login.user.id).social_token(account).reveal() == "fresh"
    assert plugin.found == ["old"]
    with host.request(session_token=result.login.session_token) as request:
        request.accounts.delete(request.user.id)
    with pytest.raises(SocialAccountNotFound):
        host.social_token(account)


def test_two_refreshes_at_once_end_with_one_token(make, arrive, scripted, clock):
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=4000)

    def token(handler):
        scripted.instead.clear()
        scripted.token_fields = {"access_token": "theirs", "expires_in": 3600}
        token_of(host, result)  # the other one, while this one waits for its answer
        return 200, {}, b'{"access_token": "mine", "token_type": "Bearer", "expires_in": 3600}'

    scripted.instead["/token"] = token
    assert token_of(host, result).reveal() == token_of(host, result).reveal() == "theirs"


def test_a_session_that_ends_meanwhile_gets_no_token_and_none_is_lost(make, arrive, scripted, monkeypatch):
    """The provider takes a refresh token once: what it has answered is stored all the same."""
    host = make()
    scripted.token_fields = {"refresh_token": "first"}
    result = arrive(host, "corp", scripted.agree)
    scripted.token_fields = {"refresh_token": "second"}
    client = host.services.providers.client(host.services.providers.app("corp"))
    refresh = client.refresh

    def meanwhile(*arguments):
        with host.request(session_token=result.login.session_token) as request:
            host.account.logout(request)
        return refresh(*arguments)

    monkeypatch.setattr(client, "refresh", meanwhile)
    with pytest.raises(LoginRequired):
        token_of(host, result, refresh=True)
    with host.request() as request:
        owner = {"account_id": result.account.id, "user_id": result.login.user.id}
        assert host.socialaccount.token(request, **owner).reveal_refresh() == "second"


def test_whose_token(make, arrive, scripted, run):
    host = make()
    result = arrive(host, "corp", scripted.agree)
    with host.request() as request:
        with pytest.raises(LoginRequired):
            host.socialaccount.token(request, account_id=result.account.id)
        job = host.socialaccount.token(request, account_id=result.account.id, user_id=result.login.user.id)
        with pytest.raises(SocialAccountNotFound):
            host.socialaccount.token(request, account_id=result.account.id, user_id=uuid4())
        for wrong in ("account_id", "user_id"):
            given = {"account_id": uuid4(), "user_id": uuid4(), wrong: "x"}
            with pytest.raises(InvalidInput) as caught:
                host.socialaccount.token(request, **given)
            assert caught.value.fields["field"] == wrong
    assert job.reveal() == token_of(host, result).reveal()


def test_a_lost_key_keeps_nobody_out(make, arrive, scripted):
    arrive(make(), "corp", scripted.agree)
    host = make(encryption_keys=(NEW,))
    result = arrive(host, "corp", scripted.agree)
    assert token_of(host, result).reveal()


def test_a_step_under_a_lost_key_is_begun_again(make, scripted):
    with make().request() as request:
        redirect = request.host.socialaccount.begin(request, "corp")
    other = make(encryption_keys=(NEW,))
    from authhost.errors import InvalidState

    with other.request() as request, pytest.raises(InvalidState):
        request.host.socialaccount.complete(
            request, "corp", params=scripted.agree(redirect.url), state_token=redirect.state_token
        )


def test_keys_of_encryption():
    with pytest.raises(ConfigurationError, match="32 characters"):
        Settings(secret_key="k" * 48, encryption_keys=("short",))
    sealed = Encryption(Settings(secret_key="k" * 48)).seal({"a": "b"})
    assert Encryption(Settings(secret_key="k" * 48)).open(sealed) == {"a": "b"}
    with pytest.raises(Undecipherable):
        Encryption(Settings(secret_key="j" * 48)).open(sealed)


def test_disconnecting_deletes_the_token(make, arrive, scripted, run):
    host = make()
    result = arrive(host, "corp", scripted.agree)
    token = result.login.session_token
    with host.request(session_token=token) as request:
        token = host.account.set_password(request, password="green teapots sing at dawn").session_token
    with host.request(session_token=token) as request:
        host.socialaccount.disconnect(request, account_id=result.account.id)
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(social_tokens)).scalar_one() == 0
