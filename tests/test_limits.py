"""What is counted, and what is forgotten."""

from __future__ import annotations

import ipaddress
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import HealthCheck, given, settings, strategies as st

from authhost.cli.checks import problems
from authhost.errors import (
    AuthError,
    ConfigurationError,
    Conflict,
    DeliveryFailed,
    InvalidCredentials,
    RateLimited,
)
from authhost.security.inputs import identifier, ip_address as parse_ip_address, network
from authhost.store import queries

ANN = "ann@example.org"


@pytest.fixture(params=["memory", "redis"])
def host(make_host, run, request):
    redis_url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    host = make_host(rate_limits=True, redis_url=redis_url)
    run(host, "signup", email=ANN, password=PASSWORD, username="ann")
    return host


def fail(host, run, times, identifier=ANN):
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            run(host, "login", identifier=identifier, password="wrong")


def test_the_sixth_wrong_password_is_not_tried(host, run):
    fail(host, run, 5)
    with pytest.raises(RateLimited) as limited:
        run(host, "login", identifier=ANN.upper(), password=PASSWORD)
    assert 0 < limited.value.fields["retry_after"] <= 300


def test_an_unknown_account_is_limited_alike(host, run):
    fail(host, run, 5, "nobody@example.org")
    with pytest.raises(RateLimited):
        run(host, "login", identifier="nobody@example.org", password=PASSWORD)


def test_logins_are_no_failures(host, run):
    for _ in range(12):
        assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_a_login_forgets_the_failures_of_its_name(host, run):
    fail(host, run, 4)
    run(host, "login", identifier=ANN, password=PASSWORD)
    fail(host, run, 4)
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_failures_are_counted_by_ip_address_over_all_names(host, run):
    for number in range(10):
        fail(host, run, 1, f"user{number}@example.org")
    with pytest.raises(RateLimited):
        run(host, "login", identifier=ANN, password=PASSWORD)
    with host.request(ip_address="192.0.2.7") as request:
        assert host.account.login(request, identifier=ANN, password=PASSWORD).authenticated


def test_tries_at_once_are_no_more_than_tries_in_a_row(host, run):
    def guess(_):
        with pytest.raises(AuthError) as caught:
            run(host, "login", identifier=ANN, password="wrong")
        return caught.value.code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(20)))
    assert answers.count("invalid_credentials") <= 5


def test_a_reset_forgets_the_failures_of_all_names(host, run, recorder):
    fail(host, run, 3)
    fail(host, run, 2, "ann")
    for name in (ANN, "ann"):
        with pytest.raises(RateLimited):
            run(host, "login", identifier=name, password=PASSWORD)
    run(host, "request_password_reset", email=ANN)
    run(host, "reset_password", key=recorder.key(), password=OTHER_PASSWORD)
    for name in (ANN, "ann"):
        with host.request(ip_address="192.0.2.7") as request:
            assert host.account.login(request, identifier=name, password=OTHER_PASSWORD).authenticated


@pytest.mark.parametrize("rates", ["ten/minute/ip", "10/minute/person", "10/minute"])
def test_a_rate_that_cannot_be_read_is_named(make_host, rates):
    with pytest.raises(ConfigurationError, match="login"):
        make_host(rate_limits={"login": rates})


def test_a_rate_of_no_action_is_named(make_host):
    with pytest.raises(ConfigurationError, match="did you mean 'login'"):
        make_host(rate_limits={"logn": "10/minute/ip"})


def test_two_processes_count_together_in_redis(make_host, run, redis_url):
    hosts = [make_host(rate_limits=True, redis_url=redis_url) for _ in range(2)]
    assert all(host.services.limits.reachable() for host in hosts)
    for number in range(5):
        fail(hosts[number % 2], run, 1)
    for host in hosts:
        with pytest.raises(RateLimited):
            run(host, "login", identifier=ANN, password="wrong")


def test_a_redis_that_does_not_answer_lets_nobody_in(make_host, run):
    redis = pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = make_host(rate_limits=True, redis_url=f"redis://127.0.0.1:{port}/0")
    assert not host.services.limits.reachable()
    assert any("Redis" in each.problem for each in problems(host))
    with pytest.raises(redis.ConnectionError):
        run(host, "login", identifier=ANN, password=PASSWORD)


def test_a_redis_that_is_silent_is_not_waited_for_for_ever(make_host):
    pytest.importorskip("redis")
    for scheme in ("redis", "rediss"):
        limits = make_host(rate_limits=True, redis_url=f"{scheme}://127.0.0.1:1/0").services.limits
        given = limits._counters._storage.storage.connection_pool.connection_kwargs
        assert (given["socket_timeout"], given["socket_connect_timeout"]) == (2, 2)


def test_a_redis_url_that_cannot_serve_is_named(make_host):
    with pytest.raises(ConfigurationError, match="redis://host"):
        make_host(rate_limits=True, redis_url="reddis://127.0.0.1")


# Who is counted as whom.


def at(host, place, flow, token=None, device=None, /, **values):
    """Run a flow from ``place``."""
    with host.request(ip_address=place, session_token=token, device_token=device) as request:
        return getattr(host.account, flow)(request, **values)


def code(call, *args, **values):
    """How a flow ended."""
    try:
        call(*args, **values)
    except AuthError as error:
        return error.code
    return "done"


@pytest.mark.parametrize(
    "places",
    [
        [f"2001:db8:1:1::{number:x}" for number in range(1, 41)],
        [f"2001:db8:1:1:{number:x}::1%eth0" for number in range(1, 41)],
        [f"::ffff:203.0.113.7{'%1' * (number % 2)}" for number in range(20)] + ["203.0.113.7"] * 20,
    ],
)
def test_one_customer_is_one_address(host, places):
    ends = [
        code(at, host, place, "login", identifier=f"user{number}@example.org", password="wrong")
        for number, place in enumerate(places)
    ]
    assert ends == ["invalid_credentials"] * 10 + ["rate_limited"] * 30


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_is_the_64_bits_that_a_customer_has(address, interface):
    if address.ipv4_mapped is None and address not in ipaddress.IPv6Network("64:ff9b::/64"):
        other = ipaddress.IPv6Address((int(address) >> 64 << 64) | interface)
        if other.ipv4_mapped is None:
            assert network(str(address)) == network(str(other))
        assert network(str(address)) != network(str(ipaddress.IPv6Address(int(address) ^ 1 << 64)))


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_the_ipv4_address(address):
    for spelling in (f"::ffff:{address}", f"::FFFF:{address}", f"0:0:0:0:0:ffff:{address}"):
        assert parse_ip_address(spelling) == network(spelling) == network(str(address)) == str(address)


@pytest.mark.parametrize("name", [ANN, "ann"])
def test_spaces_around_a_name_are_no_other_name(host, recorder, name):
    digests = set()
    for number in range(5):
        spaced = " " * (number % 3) + name + " " * number
        with host.request(ip_address=f"198.51.100.{number % 2}") as request:
            assert code(host.account.login, request, identifier=spaced, password="wrong") != "done"
            digests.add(request.identifier_digest)
    assert len(digests) == 1
    assert at(host, "192.0.2.9", "login", identifier=f"  {name} ", password=PASSWORD).authenticated
    assert code(at, host, "192.0.2.9", "login", identifier="   ", password=PASSWORD) == "invalid_input"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=st.text(" \u00a0\u2003\u3000", max_size=3), after=st.text(" \u00a0\u2003\u3000", max_size=3))
def test_each_spelling_that_logs_in_is_counted_as_one(host, before, after):
    for name in (ANN, "ann"):
        try:
            spelled = identifier(before + name + after)
        except AuthError:
            continue
        assert spelled == identifier(name)


@pytest.mark.parametrize("suffix", [" ", "  ", "\t"])
def test_a_lookup_finds_exactly_what_was_asked_for(host, run, suffix):
    with host.request() as request:
        user = queries.account_by_username(request, "ann").user
        assert queries.account_by_username(request, "ann" + suffix) is None
        assert queries.account_by_email(request, ANN + suffix) is None
        assert queries.claimed_address(request, ANN + suffix) is None
        assert queries.address_of(request, user.id, ANN + suffix) is None
        assert queries.address_of(request, user.id, ANN) is not None


# Nobody is locked out by others.


def test_a_stranger_locks_nobody_out_of_login_and_reset(host, run, recorder):
    for _ in range(8):
        code(at, host, "203.0.113.66", "login", identifier=ANN, password="wrong")
        code(at, host, "203.0.113.66", "request_password_reset", email=ANN)
    assert code(at, host, "203.0.113.66", "login", identifier=ANN, password=PASSWORD) == "rate_limited"
    before = len(recorder.messages)
    assert at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).authenticated
    at(host, "198.51.100.1", "request_password_reset", email=ANN)
    assert len(recorder.messages) == before + 1


def test_many_networks_lock_out_unknown_browsers_alone(host, run):
    device = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).device_token
    for number in range(100):
        place = f"203.0.113.{number}"
        assert code(at, host, place, "login", identifier=ANN, password="wrong") == "invalid_credentials"
    assert code(at, host, "203.0.113.200", "login", identifier=ANN, password=PASSWORD) == "rate_limited"
    assert code(at, host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD) == "rate_limited"
    assert at(host, "198.51.100.1", "login", None, device, identifier=ANN, password=PASSWORD).authenticated
    # The owner was there: the failures of the account are forgotten.
    assert at(host, "203.0.113.200", "login", identifier=ANN, password=PASSWORD).authenticated


def test_a_reset_opens_an_account_that_is_locked(host, run, recorder):
    for number in range(100):
        code(at, host, f"203.0.113.{number}", "login", identifier=ANN, password="wrong")
    for number in range(10):
        at(host, f"203.0.113.{number}", "request_password_reset", email=ANN)
    at(host, "198.51.100.1", "reset_password", key=recorder.key(), password=OTHER_PASSWORD)
    assert at(host, "192.0.2.1", "login", identifier=ANN, password=OTHER_PASSWORD).authenticated


def test_a_login_of_an_unknown_browser_forgets_the_failures_of_its_network_alone(host):
    for number in range(99):
        code(at, host, f"203.0.113.{number}", "login", identifier=ANN, password="wrong")
    assert at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).authenticated
    assert code(at, host, "198.51.100.1", "login", identifier=ANN, password="wrong") == "invalid_credentials"
    assert code(at, host, "198.51.100.2", "login", identifier=ANN, password="wrong") == "rate_limited"


def test_wrong_names_from_a_network_lock_no_known_browser_out(host, recorder):
    device = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).device_token
    for number in range(70):
        code(at, host, "198.51.100.1", "login", identifier=f"user{number}@example.org", password="wrong")
        code(at, host, "198.51.100.1", "request_password_reset", email=f"user{number}@example.org")
    assert code(at, host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD) == "rate_limited"
    assert code(at, host, "198.51.100.1", "request_password_reset", email=ANN) == "rate_limited"
    assert at(host, "198.51.100.1", "login", None, device, identifier=ANN, password=PASSWORD).authenticated
    before = len(recorder.messages)
    at(host, "198.51.100.1", "request_password_reset", None, device, email=ANN)
    assert len(recorder.messages) == before + 1


def test_a_known_device_does_not_log_in_without_end(host):
    device = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).device_token
    values = {"identifier": ANN, "password": PASSWORD}
    ends = [code(at, host, "198.51.100.1", "login", None, device, **values) for _ in range(25)]
    assert ends == ["done"] * 20 + ["rate_limited"] * 5


def test_a_device_has_few_tries_of_its_own(host):
    device = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).device_token
    ends = [
        code(at, host, f"203.0.113.{number}", "login", None, device, identifier=ANN, password="wrong")
        for number in range(8)
    ]
    assert ends == ["invalid_credentials"] * 5 + ["rate_limited"] * 3


def test_a_device_is_known_to_its_account_alone(host, run):
    run(host, "signup", email="bob@example.org", password=PASSWORD)
    device = run(host, "login", identifier="bob@example.org", password=PASSWORD).device_token
    ends = [
        code(at, host, "203.0.113.66", "login", None, device, identifier=ANN, password="wrong")
        for _ in range(6)
    ]
    assert ends[-1] == "rate_limited"


# Failures of one account, in all flows.


def test_failures_are_counted_in_all_flows_that_check_a_password(host):
    token = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD).session_token
    tries = [
        ("login", None, {"identifier": "ann", "password": "wrong"}),
        ("reauthenticate", token, {"password": "wrong"}),
        ("change_password", token, {"current_password": "wrong", "new_password": OTHER_PASSWORD}),
        ("login", None, {"identifier": ANN, "password": "wrong"}),
        ("reauthenticate", token, {"password": "wrong"}),
    ]
    for flow, by, values in tries:
        assert code(at, host, "198.51.100.1", flow, by, **values) == "invalid_credentials"
    for flow, by, values in tries:
        right = {name: PASSWORD if word == "wrong" else word for name, word in values.items()}
        assert code(at, host, "198.51.100.1", flow, by, **right) == "rate_limited"


def test_no_more_than_100_failures_of_an_account(host, monkeypatch):
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    session = at(host, "198.51.100.1", "login", identifier=ANN, password=PASSWORD)
    failures = 0
    for number in range(600):
        now[0] += 60
        token = session.session_token
        flow = ("login", "reauthenticate", "change_password")[number % 3]
        values = {
            "login": {"identifier": (ANN, "ann")[number % 2], "password": "wrong"},
            "reauthenticate": {"password": "wrong"},
            "change_password": {"current_password": "wrong", "new_password": OTHER_PASSWORD},
        }[flow]
        place = f"2001:db8:{number:x}::1"
        failures += code(at, host, place, flow, token, **values) == "invalid_credentials"
    assert failures == 100


def test_tries_at_once_of_many_names_are_no_more_than_tries_in_a_row(make_host, run):
    host = make_host(rate_limits={"login": "1000/minute/ip"})

    def guess(number):
        return code(run, host, "login", identifier=f"user{number}@example.org", password="wrong")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(100)))
    assert answers.count("invalid_credentials") == 10


def test_a_check_that_could_not_be_made_is_not_counted(host, run, monkeypatch):
    def busy(*_):
        raise Conflict

    for _ in range(20):
        with monkeypatch.context() as patch:
            patch.setattr(host.services.passwords, "verify", busy)
            assert code(run, host, "login", identifier=ANN, password="wrong") == "conflict"
    fail(host, run, 5)


# Mails.


def test_a_reset_is_sent_once_in_a_while_and_answered_alike(host, run, recorder):
    for email in (ANN, "nobody@example.org"):
        before = len(recorder.messages)
        assert [code(at, host, "203.0.113.6", "request_password_reset", email=email) for _ in range(4)] == [
            "done"
        ] * 4
        assert len(recorder.messages) == before + 1
        for number in range(20):
            assert code(at, host, f"198.51.100.{number}", "request_password_reset", email=email) == "done"
        assert len(recorder.messages) == before + 5


def test_a_reset_can_be_asked_for_again_once_its_links_are_void(host, run, recorder):
    token = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    run(host, "request_password_reset", email=ANN)
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    before = len(recorder.messages)
    run(host, "request_password_reset", email=ANN)
    assert len(recorder.messages) == before + 1


def test_a_stranger_does_not_hold_up_the_confirmation_of_another(make_host, recorder):
    host = make_host(rate_limits=True, email_verification="mandatory")
    at(host, "203.0.113.66", "signup", email=ANN, password=PASSWORD)
    before = len(recorder.messages)
    at(host, "198.51.100.1", "signup", email=ANN, password=OTHER_PASSWORD)
    assert len(recorder.messages) == before + 1
    # Each signup is an account of its own, and none waits for a mail that is not sent.
    at(host, "198.51.100.1", "signup", email=ANN, password=OTHER_PASSWORD)
    assert len(recorder.messages) == before + 2


def test_a_confirmation_tells_nothing_of_other_accounts(host, run, recorder):
    token = run(host, "signup", email="mallory@example.org", password=PASSWORD).session_token
    run(host, "add_email", token, email="carl@example.org")
    other = at(host, "198.51.100.1", "signup", email="carl@example.org", password=PASSWORD).session_token
    with host.request(session_token=other) as request:
        assert host.account.send_confirmation(request, email="carl@example.org") is False
    assert [each.recipient for each in recorder.messages].count("carl@example.org") == 2


def test_a_mail_that_could_not_be_handed_over_is_not_counted(make_host, recorder):
    class Broken:
        down = True

        @hookimpl(tryfirst=True)
        def deliver_message(self, request, message):
            if self.down:
                raise OSError
            return None

    broken = Broken()
    host = make_host({"broken": broken}, rate_limits=True, email_verification="mandatory")
    with pytest.raises(DeliveryFailed):
        at(host, "198.51.100.1", "signup", email="carl@example.org", password=PASSWORD)
    with pytest.raises(DeliveryFailed):
        at(host, "198.51.100.1", "request_password_reset", email=ANN)
    broken.down = False
    recorder.messages.clear()
    at(host, "198.51.100.1", "signup", email="carl@example.org", password=PASSWORD)
    at(host, "198.51.100.1", "request_password_reset", email=ANN)
    assert [each.kind for each in recorder.messages] == [
        "email_confirmation",
        "password_reset_unknown_account",
    ]
    # A login that waits within the cool-down says so, and sends nothing.
    assert not at(host, "192.0.2.1", "login", identifier="carl@example.org", password=PASSWORD).authenticated
    assert len(recorder.messages) == 2


def test_a_mail_of_a_unit_that_was_rolled_back_is_not_counted(host, run, recorder):
    token = run(host, "signup", email="dora@example.org", password=PASSWORD).session_token
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), host.request(session_token=token) as request:
            host.account.add_email(request, email="carl@example.org")
            raise ZeroDivisionError
    before = len(recorder.messages)
    run(host, "add_email", token, email="carl@example.org")
    assert len(recorder.messages) == before + 1


def test_one_network_mails_few_strangers(host, run, recorder, monkeypatch):
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    before = len(recorder.messages)
    for number in range(300):
        now[0] += 10
        place = f"2001:db8:1:1::{number:x}"
        code(at, host, place, "signup", email=f"s{number}@example.org", password=PASSWORD)
        code(at, host, place, "request_password_reset", email=f"r{number}@example.org")
    assert len(recorder.messages) - before <= 120


# What is refused.


def test_keys_and_wrong_input_are_limited(host, run):
    assert [code(run, host, "confirm_email", key="x") for _ in range(22)][-1] == "rate_limited"
    ends = [code(run, host, "signup", email="no address", password=PASSWORD) for _ in range(32)]
    assert ends == ["invalid_email"] * 30 + ["rate_limited"] * 2


def test_returns_from_no_provider_are_limited(host):
    def come_back():
        with host.request(ip_address="203.0.113.7") as request:
            host.socialaccount.complete(request, "nope", params={}, state_token=None)

    assert [code(come_back) for _ in range(32)] == ["provider_not_found"] * 30 + ["rate_limited"] * 2


def test_it_is_said_once_that_there_is_no_address(host, caplog):
    for _ in range(3):
        with host.request() as request:
            code(host.account.login, request, identifier=ANN, password="wrong")
    assert [each.message for each in caplog.records if "ip_address" in each.message] == [
        "limits by IP address are not applied: host.request() got no ip_address; pass the client's address"
    ]
