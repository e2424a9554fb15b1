"""Sessions: how they end, what they ask for, and what is handed out."""

from __future__ import annotations

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD

from authhost.account import expired_sessions
from authhost.errors import AuthError, Conflict, InvalidCredentials, ReauthenticationRequired, SessionNotFound

ANN, BOB, SECOND = "ann@example.org", "bob@example.org", "ann@work.example.org"


@pytest.fixture
def host(make_host):
    return make_host(email_verification="none")


@pytest.fixture
def token(host, run):
    return run(host, "signup", email=ANN, password=PASSWORD).session_token


def who(host, token):
    with host.request(session_token=token) as request:
        return request.user


def test_a_session_that_is_used_ends_at_its_absolute_limit(host, token, clock):
    for _ in range(29):
        clock.forward(days=1)
        assert who(host, token) is not None
    clock.forward(days=1)
    assert who(host, token) is None


def test_a_session_that_is_not_used_ends(host, token, clock):
    clock.forward(days=13, hours=23)
    assert who(host, token) is not None
    clock.forward(days=14, seconds=1)
    assert who(host, token) is None


def test_each_login_gives_a_new_token_and_ends_the_old_one(host, run, token):
    newer = run(host, "login", token, identifier=ANN, password=PASSWORD).session_token
    assert newer != token
    assert who(host, token) is None
    assert who(host, newer).email == ANN


def test_tokens_have_256_bits_and_differ(host, run):
    tokens = {
        run(host, "signup", email=f"a{i}@example.org", password=PASSWORD).session_token for i in range(20)
    }
    assert len(tokens) == 20
    assert all(len(each) == 43 for each in tokens)


def test_a_session_that_has_expired_is_not_listed(host, run, token, clock):
    clock.forward(seconds=host.settings.session_idle - 1)
    used = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    assert len(run(host, "list_sessions", used)) == 2
    clock.forward(seconds=2)
    assert len(run(host, "list_sessions", used)) == 1


class Ended:
    """The sessions that have ended, with the reasons."""

    def __init__(self):
        self.reasons = []

    @hookimpl
    def session_ended(self, request, session, reason):
        self.reasons.append(reason)


@pytest.mark.parametrize("page", [1, 2, 500])
def test_plugins_hear_of_each_session_that_expires(make_host, run, clock, monkeypatch, page):
    monkeypatch.setattr(expired_sessions, "PAGE", page)
    ended = Ended()
    host = make_host({"ended": ended}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    for _ in range(3):
        run(host, "login", identifier=ANN, password=PASSWORD)
    clock.forward(seconds=host.settings.session_idle + 1)
    used = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    assert host.delete_expired()["authhost_session"] == 4
    assert ended.reasons == ["expired"] * 4
    assert who(host, used) is not None
    assert host.delete_expired()["authhost_session"] == 0


def test_a_flow_that_deletes_an_expired_session_says_so(make_host, run, clock):
    """The session counts as ended only if it could still be used."""
    ended = Ended()
    host = make_host({"ended": ended}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(seconds=host.settings.session_idle + 1)
    token = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    run(host, "login", identifier=ANN, password=PASSWORD)
    assert run(host, "end_other_sessions", token) == 1
    assert sorted(ended.reasons) == ["ended", "expired"]


def test_a_session_that_has_expired_cannot_be_ended(make_host, run, clock):
    """Its hook is called once, when it is deleted."""
    ended = Ended()
    host = make_host({"ended": ended}, email_verification="none")
    expired = run(host, "signup", email=ANN, password=PASSWORD).session_token
    [session] = run(host, "list_sessions", expired)
    clock.forward(seconds=host.settings.session_idle + 1)
    token = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    with pytest.raises(SessionNotFound):
        run(host, "end_session", token, session_id=session.id)
    assert ended.reasons == []
    host.delete_expired()
    assert ended.reasons == ["expired"]


def test_expired_sessions_stay_if_a_required_plugin_fails(make_host, run, clock, caplog):
    class Fails:
        @hookimpl
        def session_ended(self, request):
            raise OSError

    host = make_host({"fails": Fails()}, required_plugins=("fails",), email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(seconds=host.settings.session_idle + 1)
    assert host.delete_expired()["authhost_session"] == 0
    assert "expired sessions were not deleted: required plugin 'fails' failed in session_ended" in caplog.text


def test_sessions_are_listed_and_ended(host, run, token):
    with host.request(ip_address="2001:db8::1", user_agent="Firefox\r\n") as request:
        other = host.account.login(request, identifier=ANN, password=PASSWORD).session_token
    newest, oldest = run(host, "list_sessions", token)
    assert (newest.ip_address, newest.user_agent, newest.method) == ("2001:db8::1", "Firefox  ", "password")
    assert oldest.user_agent == ""
    with host.request(session_token=token) as request:
        host.account.end_session(request, newest.id)
        with pytest.raises(SessionNotFound):
            host.account.end_session(request, newest.id)
    assert who(host, other) is None
    assert who(host, token) is not None


def test_anothers_session_is_not_there(host, run, token):
    bob = run(host, "signup", email=BOB, password=PASSWORD).session_token
    (session,) = run(host, "list_sessions", token)
    with host.request(session_token=bob) as request, pytest.raises(SessionNotFound):
        host.account.end_session(request, session.id)
    assert who(host, token) is not None


def test_all_other_sessions_end(host, run, token):
    others = [run(host, "login", identifier=ANN, password=PASSWORD).session_token for _ in range(3)]
    assert run(host, "end_other_sessions", token) == 3
    assert [who(host, each) for each in others] == [None] * 3
    assert who(host, token) is not None


def test_ending_ones_own_session_is_a_logout(host, run, recorder, token):
    (session,) = run(host, "list_sessions", token)
    with host.request(session_token=token) as request:
        host.account.end_session(request, session.id)
    assert recorder.names[-1] == "user_logged_out"
    assert who(host, token) is None


def test_a_closed_account_has_no_session_and_no_login(host, run, recorder, token):
    other = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    run(host, "deactivate", token)
    assert recorder.names[-1] == "user_logged_out"
    assert who(host, token) is who(host, other) is None
    with pytest.raises(InvalidCredentials) as closed:
        run(host, "login", identifier=ANN, password=PASSWORD)
    with pytest.raises(InvalidCredentials) as unknown:
        run(host, "login", identifier=BOB, password=PASSWORD)
    assert str(closed.value) == str(unknown.value)


@pytest.mark.parametrize(
    ("flow", "values"),
    [
        ("add_email", {"email": SECOND}),
        ("remove_email", {"email": SECOND}),
        ("make_primary", {"email": SECOND}),
        ("set_password", {"password": OTHER_PASSWORD}),
        ("deactivate", {}),
    ],
)
def test_a_sensitive_change_needs_a_recent_login(host, run, token, clock, flow, values):
    clock.forward(seconds=301)
    with pytest.raises(ReauthenticationRequired) as caught:
        run(host, flow, token, **values)
    assert caught.value.fields == {"max_age": 300, "age": 301}
    with pytest.raises(InvalidCredentials):
        run(host, "reauthenticate", token, password="wrong")
    fresh = run(host, "reauthenticate", token, password=PASSWORD).session_token
    assert who(host, token) is None
    try:
        run(host, flow, fresh, **values)
    except AuthError as error:
        assert error.code != "reauthentication_required"


def test_how_the_person_came_in(host, run, token, clock):
    came_in = clock.now
    clock.forward(minutes=10)
    fresh = run(host, "reauthenticate", token, password=PASSWORD).session_token
    with host.request(session_token=fresh) as request:
        found = [(each.method, each.time) for each in request.authentication]
    assert found == [("password", came_in), ("password", clock.now)]
    with host.request() as request:
        assert request.authentication == ()


@pytest.mark.parametrize("flow", ["list_sessions", "end_other_sessions", "list_emails", "deactivate"])
def test_nobody_is_asked_to_log_in(host, run, flow):
    with pytest.raises(AuthError) as caught:
        run(host, flow)
    assert caught.value.code == "login_required"


# A hook of a login that ends or changes the new session.

ENDS = {
    "logout": lambda request, user: request.host.account.logout(request),
    "end_sessions": lambda request, user: request.accounts.end_sessions(user.id),
    "deactivate": lambda request, user: request.accounts.deactivate(user.id),
    "delete": lambda request, user: request.accounts.delete(user.id),
    "login": lambda request, user: request.host.account.login(request, identifier=BOB, password=PASSWORD),
}


class Acts:
    """A plugin that does something in the logins of one address."""

    act = None

    @hookimpl
    def user_logged_in(self, request, user):
        if self.act is not None and user.email == ANN:
            self.act(request, user)


@pytest.mark.parametrize("end", ENDS)
def test_a_login_whose_session_a_hook_ends_is_refused(make_host, run, end):
    plugin = Acts()
    host = make_host({"acts": plugin}, email_verification="none")
    for email in (ANN, BOB):
        run(host, "signup", email=email, password=PASSWORD)
    plugin.act = ENDS[end]
    with host.request() as request:
        with pytest.raises(Conflict, match="plugin"):
            host.account.login(request, identifier=ANN, password=PASSWORD)
        assert (request.user, request.session_token, request.device_token) == (None, None, None)
    plugin.act = None
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_the_result_of_a_login_has_the_token_that_a_hook_has_changed(make_host, run):
    plugin = Acts()
    host = make_host({"acts": plugin}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    plugin.act = lambda request, user: request.host.account.change_password(
        request, current_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    login = run(host, "login", identifier=ANN, password=PASSWORD)
    assert who(host, login.session_token).email == ANN
