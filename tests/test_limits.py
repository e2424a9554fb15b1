"""What is counted, and what is forgotten."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import OTHER_PASSWORD, PASSWORD

from authhost.check import problems
from authhost.errors import AuthError, ConfigurationError, InvalidCredentials, RateLimited

ANN = "ann@example.org"


@pytest.fixture
def host(make_host, run):
    host = make_host(rate_limits=True)
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
    fail(host, run, 5)
    fail(host, run, 5, "ann")
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


@pytest.fixture
def redis_url():
    redis = pytest.importorskip("redis")
    url = os.environ.get("AUTHHOST_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
    client = redis.Redis.from_url(url, socket_connect_timeout=1)
    try:
        client.flushdb()
    except redis.ConnectionError:
        pytest.skip(f"LEFT OUT: no Redis at {url}; set AUTHHOST_TEST_REDIS_URL to run this")
    yield url
    client.flushdb()


def test_two_processes_count_together_in_redis(make_host, run, redis_url):
    hosts = [make_host(rate_limits=True, redis_url=redis_url) for _ in range(2)]
    assert all(host.limits.reachable() for host in hosts)
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
    assert not host.limits.reachable()
    assert any("Redis" in each.problem for each in problems(host))
    with pytest.raises(redis.ConnectionError):
        run(host, "login", identifier=ANN, password=PASSWORD)


def test_a_redis_that_is_silent_is_not_waited_for_for_ever(make_host):
    pytest.importorskip("redis")
    for scheme in ("redis", "rediss"):
        limits = make_host(rate_limits=True, redis_url=f"{scheme}://127.0.0.1:1/0").limits
        given = limits._storage.storage.connection_pool.connection_kwargs
        assert (given["socket_timeout"], given["socket_connect_timeout"]) == (2, 2)


def test_a_redis_url_that_cannot_serve_is_named(make_host):
    with pytest.raises(ConfigurationError, match="redis://host"):
        make_host(rate_limits=True, redis_url="reddis://127.0.0.1")
