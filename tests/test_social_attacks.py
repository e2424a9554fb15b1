"""What an attack on social login has found, and what it tried in vain."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Barrier, Event, Thread

import pytest
from authhost_hookspecs import Profile, ProviderEmail, hookimpl
from conftest import OTHER_PASSWORD, PASSWORD, Declares
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from providers import as_json
from sqlalchemy import func, insert, select, update

from authhost.errors import (
    AuthError,
    Conflict,
    InvalidIdToken,
    InvalidState,
    LoginRequired,
    ProviderFailed,
    SocialAccountNotFound,
)
from authhost.providers import openid, transport
from authhost.security.inputs import email_key
from authhost.store.tables import addresses, sessions, social_accounts, users

ANN, BOB, MALLORY = "ann@example.org", "bob@example.org", "mallory@example.org"


@pytest.fixture
def make(make_host, scripted, openid, clock):
    """A host with two providers: ``corp``, which is scripted, and ``other``."""
    clock.now = datetime.now(UTC)

    def make(plugins=None, corp=None, **settings):
        app = {"provider": "openid_connect", "client_id": "site", "client_secret": "of-the-site"}
        app |= {"trust_emails": True, **(corp or {})}
        providers = {"corp": {**app, "server": scripted.url}, "other": {**app, "server": openid.url}}
        return make_host(plugins, providers=providers, **settings)

    return make


def count(host, table):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def stands(scripted, sub, email=None, verified=False):
    scripted.sub = sub
    scripted.claims = {"email": email, "email_verified": verified} if email else {}


def first_time(scripted, action):
    """Do ``action`` while the first request waits for its token."""
    original, done = scripted._token, []

    def slow(form):
        if not done:
            done.append(1)
            action()
        return original(form)

    scripted._token = slow


# Addresses that look alike.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("victim@fass.de", "victim@fa\u00df.de"),
        ("victim@fass.de", "victim@xn--fa-hia.de"),
        ("strasse@example.org", "stra\u00dfe@example.org"),
        ("sam@example.org", "\u017fam@example.org"),
        ("jose@example.org", "jos\u00e9@example.org"),
    ],
)
def test_a_lookalike_address_is_another(make, arrive, scripted, run, recorder, one, other):
    host = make(corp={"login_by_email": True})
    signup = run(host, "signup", email=one, password=PASSWORD)
    victim = signup.user
    run(host, "confirm_email", signup.session_token, key=recorder.key())
    stands(scripted, "mallory", other, True)
    result = arrive(host, "corp", scripted.agree)
    assert result.login.user.id != victim.id
    with host.request() as request:
        assert request.user_by_email(one).id == victim.id
        assert request.user_by_email(other).id != victim.id


def test_one_domain_in_two_spellings_is_one():
    assert email_key("Ann@FA\u00df.de") == email_key("ann@xn--fa-hia.DE")


# A session that ends while its flow waits.


def test_a_connect_does_not_outlive_its_session(make, arrive, scripted, run, recorder):
    host = make()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    stolen, own = (run(host, "login", identifier=ANN, password=PASSWORD) for _ in range(2))
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    first_time(scripted, lambda: run(host, "change_password", own.session_token, **change))
    stands(scripted, "mallory")
    with pytest.raises(LoginRequired):
        arrive(host, "corp", scripted.agree, stolen.session_token, process="connect")
    assert count(host, social_accounts) == 0


def test_a_connect_does_not_outlive_the_account(make, arrive, scripted, run, recorder):
    host = make()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    first_time(scripted, lambda: run(host, "deactivate", token))
    with pytest.raises(LoginRequired):
        arrive(host, "corp", scripted.agree, token, process="connect")


def test_a_first_password_does_not_outlive_the_session(make, arrive, scripted, openid, run, monkeypatch):
    """The account of a planted signup goes back to its owner while the planter's password is hashed."""
    host = make(corp={"login_by_email": True})
    stands(scripted, "mallory", ANN)
    planted = arrive(host, "corp", scripted.agree)
    openid.person("ann3", email=ANN, email_verified=True)
    original = host.services.passwords.hash

    def slow(secret):
        monkeypatch.setattr(host.services.passwords, "hash", original)
        arrive(host, "other", lambda url: openid.agree(url, "ann3"))
        return original(secret)

    monkeypatch.setattr(host.services.passwords, "hash", slow)
    with pytest.raises(LoginRequired):
        run(host, "set_password", planted.login.session_token, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier=ANN, password=PASSWORD)


class Holds:
    """A plugin that is slow, so that another flow comes to wait for the lock."""

    def __init__(self):
        self.inside, self.go = Event(), Event()

    @hookimpl
    def social_account_added(self):
        self.inside.set()
        self.go.wait(1)


def test_an_address_is_not_added_by_a_session_that_ends(make, arrive, scripted, openid, run):
    holds = Holds()
    host = make({"holds": holds}, corp={"login_by_email": True})
    planted = run(host, "signup", email=ANN, password=PASSWORD)
    openid.person("ann4", email=ANN, email_verified=True)
    owner = Thread(target=lambda: arrive(host, "other", lambda url: openid.agree(url, "ann4")))
    owner.start()
    assert holds.inside.wait(30)
    with pytest.raises(LoginRequired):
        run(host, "add_email", planted.session_token, email=MALLORY)
    owner.join()
    with host.engine.connect() as connection:
        assert connection.execute(select(addresses.c.email)).scalars().all() == [ANN]


# Whether an address is taken.


@pytest.fixture
def both(make, scripted, run):
    """A host where Ann's address is taken and Bob's is free."""
    host = make(email_verification="mandatory")
    run(host, "signup", email=ANN, password=PASSWORD)
    return host, (("m1", ANN), ("m2", BOB))


def test_a_second_visit_tells_nothing(both, arrive, scripted, clock):
    host, people = both
    seen = []
    for sub, email in people:
        stands(scripted, sub, email)
        arrive(host, "corp", scripted.agree)
        clock.forward(seconds=5)
        result = arrive(host, "corp", scripted.agree)
        account = result.account
        seen.append((result.login.waits_for, account.id, account.user_id, account.date_joined == clock.now))
    assert seen[0] == seen[1] == ("email_verification", None, None, True)


def test_a_second_visit_after_a_typed_address_tells_nothing(both, arrive, scripted):
    host, people = both
    seen = []
    for sub, email in people:
        stands(scripted, sub)
        result = arrive(host, "corp", scripted.agree)
        with host.request() as request:
            host.socialaccount.signup(request, signup_token=result.signup_token, email=email)
        result = arrive(host, "corp", scripted.agree)
        seen.append((result.login and result.login.waits_for, result.missing))
    assert seen[0] == seen[1] == ("email_verification", ())


def test_a_waiting_login_leaves_the_session_alone_either_way(both, arrive, scripted, run, recorder):
    host, people = both
    token = run(host, "signup", email=MALLORY, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    for sub, email in people:
        token = run(host, "login", identifier=MALLORY, password=PASSWORD).session_token
        stands(scripted, sub, email)
        login = arrive(host, "corp", scripted.agree, token).login
        assert login.waits_for
        assert login.session_token == token
        with host.request(session_token=token) as request:
            assert request.user.email == MALLORY


# Addresses and matches.


@pytest.fixture
def with_emails(make_host, arrive, scripted, clock):
    """Arrive from a provider that names several addresses."""
    clock.now = datetime.now(UTC)

    def read_profile(data):
        emails = [ProviderEmail(each, True, number == 0) for number, each in enumerate(data["emails"])]
        return Profile(data["sub"], tuple(emails))

    host = make_host(
        {"declares": Declares(scripted.plain(read_profile=read_profile))},
        providers={"odd": {"client_id": "a", "login_by_email": True}},
        max_email_addresses=2,
    )

    def with_emails(*emails):
        scripted.userinfo = {"sub": "1", "emails": list(emails)}
        return host, (lambda: arrive(host, "odd", scripted.agree))

    return with_emails


def test_the_limit_of_addresses_holds_for_a_signup(with_emails):
    host, go = with_emails(*(f"a{number}@example.org" for number in range(9)))
    go()
    assert count(host, addresses) == 2


def test_a_verified_account_is_preferred_to_a_planted_one(with_emails, run, recorder):
    host, go = with_emails(ANN, BOB)
    signup = run(host, "signup", email=BOB, password=PASSWORD)
    real = signup.user
    run(host, "confirm_email", signup.session_token, key=recorder.key())
    run(host, "signup", email=ANN, password=PASSWORD)
    assert go().login.user.id == real.id


def test_two_declarations_on_one_server_are_two_namespaces(make_host, arrive, scripted, clock):
    clock.now = datetime.now(UTC)
    one = scripted.plain(defaults={"server": "https://usual.example"})
    two = type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"id": "even"})
    app = {"client_id": "a", "server": scripted.url}
    host = make_host(
        {"declares": Declares(one, two)},
        providers={"odd": app, "even": app},
        social_email_required=False,
        email_verification="none",
    )
    scripted.userinfo = {"sub": "1"}
    people = {arrive(host, name, scripted.agree).login.user.id for name in ("odd", "even")}
    assert len(people) == 2


# Tokens.


@pytest.fixture
def refreshable(make, arrive, scripted, clock):
    host = make(store_social_tokens=True)
    scripted.token_fields = {"refresh_token": "first"}
    stands(scripted, "ann", ANN, True)
    result = arrive(host, "corp", scripted.agree)
    clock.forward(seconds=4000)

    def token():
        with host.request() as request:
            return host.socialaccount.token(
                request, account_id=result.account.id, user_id=result.login.user.id
            )

    return host, result, token


def test_two_refreshes_where_a_refresh_token_works_once(refreshable, scripted):
    _, _, token = refreshable

    def slower(handler):
        scripted.instead.clear()
        scripted.token_fields = {"access_token": "theirs", "refresh_token": "second", "expires_in": 3600}
        assert token().reveal() == "theirs"
        return 400, {}, b'{"error": "invalid_grant"}'

    scripted.instead["/token"] = slower
    assert token().reveal() == "theirs"


def test_disconnected_during_a_refresh(refreshable, scripted, run, clock):
    host, result, token = refreshable
    clock.forward(seconds=-4000)
    own = run(host, "set_password", result.login.session_token, password=PASSWORD).session_token
    clock.forward(seconds=4000)

    def disconnect():
        clock.forward(seconds=-4000)
        with host.request(session_token=own) as request:
            host.socialaccount.disconnect(request, account_id=result.account.id)

    first_time(scripted, disconnect)
    with pytest.raises(SocialAccountNotFound):
        token()


def test_a_refresh_token_stays_with_its_app(make_host, arrive, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "trust_emails": True}
    host = make_host(
        providers={"a": {**app, "client_id": "app-a"}, "b": {**app, "client_id": "app-b"}},
        store_social_tokens=True,
    )
    scripted.token_fields = {"refresh_token": "of-app-a"}
    arrive(host, "a", scripted.agree)
    scripted.token_fields = {}
    result = arrive(host, "b", scripted.agree)
    with host.request(session_token=result.login.session_token) as request:
        assert host.socialaccount.token(request, account_id=result.account.id).reveal_refresh() is None
        assert request.authentication[0].provider == "b"


def test_a_provider_is_asked_in_a_unit_of_its_own(refreshable):
    host, result, _ = refreshable
    for flow, values in (
        ("begin", {"provider": "corp"}),
        ("token", {"account_id": result.account.id, "user_id": result.login.user.id}),
    ):
        with host.request() as request, pytest.raises(RuntimeError, match="unit of work of its own"):
            request.on_commit(lambda: None)
            getattr(host.socialaccount, flow)(request, **values)


# The transport.


@pytest.mark.parametrize(
    "name", ["token_endpoint", "jwks_uri", "userinfo_endpoint", "authorization_endpoint"]
)
def test_discovery_from_elsewhere_does_not_name_this_machine(make_host, monkeypatch, name):
    remote = "https://idp.example"
    app = {"provider": "openid_connect", "server": remote, "client_id": "x"}
    host = make_host(providers={"corp": app})
    found = {
        "issuer": remote,
        "authorization_endpoint": f"{remote}/a",
        "token_endpoint": f"{remote}/t",
        "jwks_uri": f"{remote}/j",
        name: "http://127.0.0.1:9200/_search",
    }
    monkeypatch.setattr(openid, "_fetch_document", lambda url: found)
    with pytest.raises(ProviderFailed):
        host.services.providers.client(host.services.providers.app("corp")).metadata()


def endless(head, piece):
    def answer(scripted):
        def write(handler):
            handler.wfile.write(head)
            while not scripted.over.wait(0.01):
                handler.wfile.write(piece)
                handler.wfile.flush()

        return write

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-1: y\r\n"),
        endless(CHUNKED, b"0"),
        endless(OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", b"a"),
        endless(b"HTTP/1.1 503 Busy\r\nContent-Length: 999999\r\n\r\n", b" "),
        endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["trailers", "chunk-size", "gzip-name", "busy-body", "continue"],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token"])
def test_nothing_goes_on_for_ever(make, arrive, scripted, monkeypatch, answer, path):
    monkeypatch.setattr(transport, "DEADLINE", 0.3)
    scripted.instead[path] = answer(scripted)
    with pytest.raises(ProviderFailed):
        arrive(make(), "corp", scripted.agree)


def test_a_busy_provider_does_not_say_how_long_we_wait(make, arrive, scripted, monkeypatch):
    monkeypatch.setattr(transport, "DEADLINE", 0.5)
    busy = (503, {"Retry-After": "3600"}, b"")
    scripted.instead["/.well-known/openid-configuration"] = lambda handler: busy
    with pytest.raises(ProviderFailed) as caught:
        arrive(make(), "corp", scripted.agree)
    assert caught.value.fields["status"] == 503


# Odd answers: always a typed refusal, and never the token in it.


@pytest.mark.parametrize("token", ["secret\n", "secret\r\nX: y", "\u65e5\u672c", "\ud800", "a\0b"])
def test_tokens_that_would_break_a_header(make, arrive, scripted, token):
    scripted.token_fields = {"access_token": token}
    with pytest.raises(ProviderFailed) as caught:
        arrive(make(), "corp", scripted.agree)
    assert "secret" not in repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("token", ["\ud800", "a.\ud800.c", "a.b.\ud800"])
def test_id_tokens_of_half_characters(make, arrive, scripted, token):
    scripted.id_token = lambda claims: token
    with pytest.raises(InvalidIdToken):
        arrive(make(), "corp", scripted.agree)


@pytest.mark.parametrize(
    "claims",
    [{"age": float("inf")}, {"age": float("nan")}, {"name": "\ud800"}, {"deep": "DEEP"}],
)
def test_claims_that_no_database_stores(make, arrive, scripted, claims):
    if claims.get("deep"):
        value = 1
        for _ in range(40):
            value = {"a": value}
        claims = {"deep": value}
    scripted.id_token = lambda own: scripted.signed({**own, **claims})
    with pytest.raises(AuthError):
        arrive(make(), "corp", scripted.agree)


def test_a_number_beyond_all_numbers(make, arrive, scripted):
    scripted.instead["/userinfo"] = lambda handler: (200, {}, b'{"sub": "scripted-1", "age": 1e999}')
    with pytest.raises(ProviderFailed):
        arrive(make(), "corp", scripted.agree)


@pytest.mark.parametrize(
    "url",
    ["https://[", "https://a:b/", "https://a:99999/", "https://.example/", "https://*/", "https://a b/", ""],
)
@pytest.mark.parametrize(
    "name", ["jwks_uri", "userinfo_endpoint", "token_endpoint", "authorization_endpoint"]
)
def test_addresses_that_are_none(make, arrive, scripted, name, url):
    scripted.metadata[name] = url
    with pytest.raises(ProviderFailed):
        arrive(make(), "corp", lambda url: scripted.agree(url) if "state=" in url else {})


@pytest.mark.parametrize("methods", [7, True, 1.5, "client_secret_basic", {}, [], None])
def test_authentication_methods_of_any_kind(make, arrive, scripted, methods):
    scripted.metadata["token_endpoint_auth_methods_supported"] = methods
    assert arrive(make(), "corp", scripted.agree).login


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
WORDS = """
sub email email_verified name iss aud keys access_token id_token expires_in token_type scope
refresh_token issuer jwks_uri token_endpoint kid kty error
"""
KEYS = st.sampled_from(WORDS.split())
FUZZED = ["/token", "/userinfo", "/jwks", "/.well-known/openid-configuration"]


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(FUZZED), fields=st.dictionaries(KEYS, JSON, max_size=5), whole=st.booleans())
def test_whatever_a_provider_answers_is_a_login_or_a_refusal(make, arrive, scripted, path, fields, whole):
    if not hasattr(scripted, "host"):
        scripted.host = make()
    scripted.host.services.providers._clients.clear()
    scripted.instead.clear()
    scripted.metadata, scripted.token_fields = {}, {}
    if whole:
        scripted.instead[path] = lambda handler: as_json(fields)
    elif path == "/token":
        scripted.token_fields = fields
    elif path == "/userinfo":
        scripted.userinfo = {"sub": scripted.sub, **fields}
    else:
        scripted.metadata = fields
    try:
        result = arrive(scripted.host, "corp", scripted.agree)
    except AuthError:
        return
    finally:
        scripted.userinfo = None
    assert result.login is not None or result.missing


# Races.


def at_once(*works):
    barrier, out = Barrier(len(works)), [None] * len(works)

    def go(number, work):
        barrier.wait()
        try:
            out[number] = work()
        except Exception as error:
            out[number] = error

    threads = [Thread(target=go, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


def test_four_completes_of_one_state(make, scripted):
    host = make()
    for number in range(5):
        stands(scripted, f"r{number}", f"r{number}@example.org", True)
        with host.request() as request:
            redirect = host.socialaccount.begin(request, "corp")
        params = scripted.agree(redirect.url)

        def finish(redirect=redirect, params=params):
            with host.request() as request:
                return host.socialaccount.complete(
                    request, "corp", params=params, state_token=redirect.state_token
                )

        out = at_once(*[finish] * 4)
        assert sum(isinstance(each, InvalidState) for each in out) == 3
        assert sum(not isinstance(each, Exception) for each in out) == 1


def test_two_disconnects_at_once_leave_one_way_in(make, arrive, scripted, openid):
    host = make()
    for number in range(5):
        stands(scripted, f"d{number}", f"d{number}@example.org", True)
        first = arrive(host, "corp", scripted.agree)
        token = first.login.session_token
        openid.person(f"d{number}")
        second = arrive(
            host, "other", lambda url, n=number: openid.agree(url, f"d{n}"), token, process="connect"
        )

        def disconnect(account, token=token):
            with host.request(session_token=token) as request:
                host.socialaccount.disconnect(request, account_id=account.id)

        at_once(lambda: disconnect(first.account), lambda: disconnect(second.account))  # noqa: B023
        with host.request(session_token=token) as request:
            assert len(host.socialaccount.list_accounts(request)) == 1


# A deadlock within a savepoint, which MariaDB ends along with the whole transaction.


class Deadlocks:
    """A plugin that runs into a deadlock, and may keep that to itself."""

    def __init__(self, hidden):
        self.hidden, self.armed = hidden, False

    @hookimpl
    def user_logged_in(self, request):
        if not self.armed:
            return
        self.armed = False
        try:
            deadlock(request)
        except Exception:
            if not self.hidden:
                raise


def deadlock(request):
    """Two transactions each have a row and want the other's; this one has written less, and is ended."""
    engine = request.host.engine
    with engine.connect() as connection:
        one, two = connection.execute(select(users.c.id).order_by(users.c.id)).scalars().all()[:2]
    much = [
        {"id": request.new_id(), "is_active": True, "date_joined": request.now, "username": "weight"}
        for _ in range(500)
    ]
    change = update(users).values(username="changed")
    theirs = engine.connect()
    transaction = theirs.begin()
    theirs.execute(insert(users), much)
    theirs.execute(change.where(users.c.id == two))
    request.db.execute(change.where(users.c.id == one))
    waiting = Thread(target=lambda: theirs.execute(change.where(users.c.id == one)))
    waiting.start()
    try:
        request.db.execute(change.where(users.c.id == two))
    finally:
        waiting.join()
        transaction.rollback()
        theirs.close()


@pytest.mark.parametrize("hidden", [True, False])
def test_a_deadlock_of_a_plugin_stores_no_half(make_host, run, hidden):
    plugin = Deadlocks(hidden)
    host = make_host({"deadlocks": plugin}, email_verification="none")
    if host.engine.dialect.name not in ("mysql", "mariadb"):
        pytest.skip("only MariaDB goes on after a deadlock")
    for email in (ANN, BOB):
        run(host, "signup", email=email, password=PASSWORD)
    run(host, "signup", email=MALLORY, password=PASSWORD)
    before = count(host, sessions)
    plugin.armed = True
    with pytest.raises(Conflict):
        run(host, "login", identifier=MALLORY, password=PASSWORD)
    assert count(host, sessions) == before
