"""A request outside its ``with`` block and a closed host raise, and hold nothing."""

from __future__ import annotations

import threading

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from sqlalchemy import Column, Integer, MetaData, String, Table, select, text
from sqlalchemy.exc import InvalidRequestError

from authhost.account import Account
from authhost.errors import AuthError, AuthHostError, HostClosed, UnitOfWorkClosed
from authhost.socialaccount import SocialAccounts
from authhost.store.tables import addresses

ANN = "ann@example.org"
notes = Table("misuse_note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(20)))

USES = {
    "user": lambda request: request.user,
    "session": lambda request: request.session,
    "authentication": lambda request: request.authentication,
    "db": lambda request: request.db,
    "connection": lambda request: request.connection,
    "insert": lambda request: request.insert(notes, {"text": "late"}),
    "on_commit": lambda request: request.on_commit(pytest.fail),
    "user_by_email": lambda request: request.user_by_email(ANN),
    "user_by_email of none": lambda request: request.user_by_email("nobody"),
    "read": lambda request: request.read(select(addresses), {}),
    "commit": lambda request: request.commit(),
    "rollback": lambda request: request.rollback(),
    "enter": lambda request: request.__enter__(),
}
FLOWS = {
    "signup": {"email": "bob@example.org", "password": PASSWORD},
    "login": {"identifier": ANN, "password": PASSWORD},
    "logout": {},
    "request_password_reset": {"email": ANN},
    "reset_password": {"key": "k", "password": PASSWORD},
    "change_password": {"current_password": PASSWORD, "new_password": OTHER_PASSWORD},
    "add_email": {"email": "bob@example.org"},
    "confirm_email": {"key": "k"},
}


def flow(name, values):
    return lambda request: getattr(request.host.account, name)(request, **values)


USES |= {name: flow(name, values) for name, values in FLOWS.items()}
USES["a bad value"] = flow("signup", {"email": "nobody", "password": ""})
USES["begin"] = lambda request: request.host.socialaccount.begin(request, "corp")
USES["complete"] = lambda request: request.host.socialaccount.complete(
    request, "corp", params={}, state_token=""
)


@pytest.fixture
def host(make_host, run):
    host = make_host(email_verification="none")
    notes.create(host.engine)
    run(host, "signup", email=ANN, password=PASSWORD)
    return host


def nothing_is_held(host):
    """No connection is in use, so no transaction is open; and somebody else may write."""
    assert host.engine.pool.checkedout() == 0
    with host.engine.begin() as connection:
        connection.execute(notes.delete())
        stored = connection.execute(select(addresses.c.email)).scalars().all()
    assert stored == [ANN]


def refused(use, request, kind=UnitOfWorkClosed):
    with pytest.raises(kind) as raised:
        use(request)
    assert isinstance(raised.value, AuthHostError)
    assert isinstance(raised.value, RuntimeError)
    assert not isinstance(raised.value, AuthError)
    return str(raised.value)


@pytest.mark.parametrize("use", [use for use in USES if use != "enter"])
def test_a_request_that_was_never_entered(host, use):
    assert "use it as `with host.request(…) as request:`" in refused(USES[use], host.request())
    nothing_is_held(host)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("used", [False, True])
def test_a_request_that_has_ended(host, use, used):
    with host.request() as request:
        if used:
            host.account.login(request, identifier=ANN, password=PASSWORD)
    assert "ask host.request() for another one" in refused(USES[use], request)
    nothing_is_held(host)


@pytest.mark.parametrize("use", USES)
def test_a_request_that_has_ended_in_an_error(host, use):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        request.insert(notes, {"text": "gone"})
        raise ZeroDivisionError
    refused(USES[use], request)
    nothing_is_held(host)


@pytest.mark.parametrize("use", ["user", "db", "insert", "signup", "commit"])
def test_a_request_that_has_ended_in_another_thread(host, use):
    with host.request() as request:
        pass
    told = []
    thread = threading.Thread(target=lambda: told.append(refused(USES[use], request)))
    thread.start()
    thread.join()
    assert len(told) == 1
    nothing_is_held(host)


def test_a_request_is_entered_once(host):
    request = host.request()
    with request:
        with pytest.raises(UnitOfWorkClosed, match="entered already"), request:
            pass
        request.insert(notes, {"text": "still open"})
    with pytest.raises(UnitOfWorkClosed, match="entered already"), request:
        pass
    nothing_is_held(host)


def test_plain_values_can_be_read_at_any_time(host):
    request = host.request(ip_address="127.0.0.1", user_agent="me", language="de", native=host)
    for _ in range(2):
        assert (request.ip_address, request.user_agent, request.language) == ("127.0.0.1", "me", "de")
        assert request.native is host
        assert request.id.version == 7
        assert request.now == host.now
        assert request.session_token is None
        assert request.settings is host.settings
        if not request._session:
            with request:
                pass
            break
    assert request.ip_address == "127.0.0.1"
    host.services.limits.hit(host.request(ip_address="127.0.0.1"), "login")


def test_a_session_of_the_database_that_was_kept(host):
    with host.request() as request:
        database = request.db
        database.execute(select(addresses))
    with pytest.raises(InvalidRequestError):
        database.execute(select(addresses))
    nothing_is_held(host)


def test_a_callback_reads_and_does_not_write(host, caplog):
    seen = []

    def callback(request):
        seen.append(request.user.email)
        seen.append(request.user_by_email(ANN))
        for use in ("insert", "db", "on_commit", "signup", "commit"):
            seen.append("nothing can be written any more" in refused(USES[use], request))

    with host.request() as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
        request.on_commit(lambda: callback(request))
    assert seen == [ANN, None, *[True] * 5]
    assert "failed" not in caplog.text
    nothing_is_held(host)


def test_after_a_commit_in_between_the_unit_goes_on(host):
    with host.request() as request:
        request.insert(notes, {"text": "one"})
        request.on_commit(lambda: request.insert(notes, {"text": "two"}))
        request.commit()
        request.insert(notes, {"text": "three"})
    with host.engine.connect() as connection:
        assert sorted(connection.execute(select(notes.c.text)).scalars()) == ["one", "three", "two"]


@pytest.mark.parametrize("use", USES)
def test_a_closed_host_refuses_a_request_that_is_open(host, use):
    with host.request() as request:
        host.close()
        if use == "enter":
            refused(USES[use], request)
        else:
            assert "this host is closed" in refused(USES[use], request, HostClosed)


def test_a_closed_host_refuses_everything_else(host):
    waiting = host.request()
    host.close()
    host.close()
    for use in (
        host.request,
        host.upgrade_database,
        host.delete_expired,
        host.__enter__,
        waiting.__enter__,
    ):
        with pytest.raises(HostClosed, match="make a new AuthHost"):
            use()


def test_what_a_host_that_closes_cannot_store_is_an_error(host):
    with pytest.raises(HostClosed), host.request() as request:
        request.insert(notes, {"text": "lost?"})
        host.close()


def test_a_plugin_may_use_its_host_while_it_stops(make_host):
    class Stops:
        told = ()

        @hookimpl
        def host_stopping(self, host):
            with host.request() as request:
                request.db.execute(text("SELECT 1"))
            self.told = (host.closed,)

    plugin = Stops()
    make_host({"stops": plugin}).close()
    assert plugin.told == (False,)


def test_each_flow_asks_first_whether_its_request_is_open(host):
    """Also those that are not named above, and whatever they are given."""
    for group in (Account, SocialAccounts):
        for name, function in vars(group).items():
            if name.startswith("_") or not callable(getattr(group, name)):
                continue
            function = getattr(getattr(host, group.__name__.lower().rstrip("s")), name)
            with pytest.raises((UnitOfWorkClosed, TypeError)):
                function(host.request())


@pytest.mark.parametrize("use", ["commit", "rollback"])
def test_a_hook_can_neither_commit_nor_undo_the_flow(make_host, run, use):
    raised = []

    class Ends:
        @hookimpl
        def user_signed_up(self, request):
            request.insert(notes, {"text": "of the hook"})
            try:
                getattr(request, use)()
            except RuntimeError as error:
                raised.append(str(error))

    host = make_host({"ends": Ends()}, email_verification="none")
    notes.create(host.engine)
    assert run(host, "signup", email=ANN, password=PASSWORD).authenticated
    assert len(raised) == 1
    assert raised[0].startswith(f"a hook cannot call {use}: ")
    assert "request.on_commit" in raised[0]
    with host.engine.connect() as connection:
        assert connection.execute(select(notes.c.text)).scalars().all() == ["of the hook"]


def test_rollback_undoes_the_login_on_the_request(host):
    with host.request(device_token="of the browser", session_token="unknown") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
        request.rollback()
        assert (request.user, request.session) == (None, None)
        assert (request.session_token, request.device_token) == ("unknown", "of the browser")
    with host.request() as request:
        token = host.account.login(request, identifier=ANN, password=PASSWORD).session_token
        request.commit()
        host.account.logout(request)
        request.rollback()
        assert (request.user.email, request.session_token) == (ANN, token)


def test_an_error_undoes_the_login_on_the_request(host):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
        raise ZeroDivisionError
    assert (request.session_token, request.device_token) == (None, None)
