"""How often a code may be tried, counted exactly over all threads and processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from authhost_hookspecs import Refused, hookimpl
from authhost_mfa import attempts, recovery_codes, refused_tries
from authhost_mfa.languages import language
from authhost_mfa.tables import account_table, recovery_code_table
from sqlalchemy import select, update

from mfa.support import ANN, is_logged_in

ENGLISH = language("en").gettext


def failures(site):
    with site.host.reader.connect() as connection:
        return connection.execute(select(account_table.c.failures)).scalar_one()


def set_failures(site, count):
    with site.host.engine.begin() as connection:
        connection.execute(update(account_table).values(failures=count, next_try_at=None))


def wrong(site, browser):
    return site.verify(browser, "000000")


def test_after_five_wrong_codes_there_is_a_pause_that_doubles(protected, clock):
    browser = protected.half()
    for seconds in (30, 60, 120):
        for _ in range(5):
            assert wrong(protected, browser)[1]["plugin_code"] == "wrong_code"
        status, body = protected.verify(browser, protected.app.code(1))
        assert (status, body["plugin_code"], body["field"]) == (403, "too_many_tries", "code")
        clock.forward(seconds=seconds - 1)
        assert wrong(protected, browser)[1]["plugin_code"] == "too_many_tries"
        clock.forward(seconds=1)
    assert failures(protected) == 15
    assert protected.verify(browser)[0] == 200
    assert failures(protected) == 0


def test_the_pauses():
    pauses = [attempts.pause_after(count) for count in range(0, 101, 5)]
    assert pauses[:4] == [None, timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert max(filter(None, pauses)) == timedelta(hours=1)
    assert not any(attempts.pause_after(count) for count in range(101) if count % 5)


def test_a_refused_attempt_is_not_counted(protected):
    browser = protected.half()
    for _ in range(8):
        wrong(protected, browser)
    assert failures(protected) == 5


def test_after_100_wrong_codes_only_another_method_helps(protected):
    """NIST SP 800-63B-4: at most 100 consecutive failures of an account."""
    set_failures(protected, 99)
    browser = protected.half()
    wrong(protected, browser)
    assert failures(protected) == 100
    protected.host.clock.forward(days=400)
    browser = protected.half()
    assert protected.verify(browser)[1]["plugin_code"] == "too_many_tries"
    assert protected.verify(browser, recovery_code=protected.codes[0])[0] == 200
    assert failures(protected) == 0
    assert protected.verify(protected.half())[0] == 200


def test_a_new_login_and_another_browser_do_not_reset_the_count(protected):
    for _ in range(5):
        wrong(protected, protected.half())
    assert protected.verify(protected.half())[1]["plugin_code"] == "too_many_tries"


def test_a_password_does_not_reset_the_count(protected):
    wrong(protected, protected.half())
    protected.ann.api("/reauthenticate", {"password": "green teapots sing at dawn"})
    assert failures(protected) == 1


def test_others_are_not_affected(protected):
    bob = protected.browser()
    protected.sign_up("bob@example.org", browser=bob)
    ann_app = protected.app
    protected.enrol(bob)
    protected.app = ann_app
    browser = protected.browser()
    protected.log_in(browser, "bob@example.org")
    for _ in range(5):
        wrong(protected, browser)
    assert wrong(protected, browser)[1]["plugin_code"] == "too_many_tries"
    assert protected.verify(protected.half())[0] == 200


def test_the_count_is_exact_across_threads(protected):
    """allauth's limits were a read and then a write, in a cache of each process."""
    with protected.host.request() as request:
        user = request.user_by_email(ANN)
    set_failures(protected, 60)

    def attempt(_):
        with protected.host.request() as request:
            try:
                attempts.count(request, user.id, ENGLISH)
            except Refused:
                return 0
            return 1

    with ThreadPoolExecutor(8) as pool:
        counted = sum(pool.map(attempt, range(40)))
    assert counted == 5
    assert failures(protected) == 65


def test_at_the_limit_the_count_is_exact_across_threads(protected, monkeypatch):
    monkeypatch.setattr(attempts, "pause_after", lambda failures: None)
    with protected.host.request() as request:
        user = request.user_by_email(ANN)
    set_failures(protected, 70)

    def attempt(_):
        with protected.host.request() as request:
            try:
                attempts.count(request, user.id, ENGLISH)
            except Refused as refused:
                return refused.code
            return "counted"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(50)))
    assert (results.count("counted"), results.count("too_many_tries")) == (30, 20)
    assert failures(protected) == 100


def test_concurrent_logins_with_one_code_succeed_once(protected):
    browsers = [protected.half() for _ in range(4)]
    code = protected.app.next_code()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda browser: protected.verify(browser, code), browsers))
    assert sum(map(is_logged_in, browsers)) == 1


def test_concurrent_use_of_one_recovery_code_succeeds_once(protected):
    browsers = [protected.half() for _ in range(4)]
    code = protected.codes[3]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda browser: protected.verify(browser, recovery_code=code), browsers))
    assert sum(map(is_logged_in, browsers)) == 1
    assert protected.count(recovery_code_table) == 9


def test_a_race_for_a_recovery_code_is_decided_by_the_delete(protected, monkeypatch):
    """Both requests have seen the code; one deletes it."""
    monkeypatch.setattr(recovery_codes, "exists", lambda *args: True)
    browser = protected.half()
    status, body = protected.verify(browser, recovery_code="AAAA-BBBB-CCCC-DDDD-EEEE-FFFF")
    assert (status, body["plugin_code"]) == (403, "wrong_code")


@pytest.mark.parametrize("code", ["", " ", "12345", "1234567", "abcdef", "０１２３４５", "12 34", "é"])
def test_what_is_no_code_is_refused(protected, code):
    browser = protected.half()
    assert browser.api("/mfa/verify", {"code": code})[0] in (400, 403)
    assert not is_logged_in(browser)


# What a limit refuses.


class Watch:
    """Adds up the refused tries."""

    def __init__(self):
        self.calls = []

    @hookimpl(optionalhook=True)
    def authentication_refused(self, request, user, method, reauthentication, repeated):
        self.calls.append((user.email, method, reauthentication, repeated, request.ip_address))


@pytest.fixture
def watched(make_site):
    watch = Watch()
    site = make_site(plugins={"watch": watch})
    site.watch = watch
    site.sign_up()
    site.enrol()
    return site


def test_a_pause_says_when_to_try_again(protected, clock):
    browser = protected.half()
    for _ in range(5):
        wrong(protected, browser)
    clock.forward(seconds=7.5)
    assert wrong(protected, browser)[1]["retry_after"] == 23
    response = browser.post("/mfa/verify", code="000000")
    assert (response.status_code, response.headers["Retry-After"]) == (403, "23")
    set_failures(protected, 100)
    assert "retry_after" not in wrong(protected, browser)[1]


def test_tries_during_a_pause_are_reported_in_few_calls_with_an_exact_sum(watched, clock):
    browser = watched.half()
    for _ in range(5):
        wrong(watched, browser)
    assert watched.watch.calls == []
    for _ in range(23):
        wrong(watched, browser)
    assert watched.watch.calls[0] == (ANN, "totp", False, 1, "203.0.113.7")
    assert [each[3] for each in watched.watch.calls] == [1, 1, 1, 1, 1, 5, 10]
    clock.forward(seconds=30)
    for _ in range(5):
        assert wrong(watched, browser)[1]["plugin_code"] == "wrong_code"
    clock.forward(seconds=31)
    wrong(watched, browser)
    assert [each[3] for each in watched.watch.calls[7:]] == [4]
    assert sum(each[3] for each in watched.watch.calls) == 24


def test_tries_after_100_wrong_codes_are_reported(watched):
    set_failures(watched, 100)
    watched.ann.api("/mfa/reauthenticate", {"code": "000000"})
    assert watched.watch.calls[0][:4] == (ANN, "totp", True, 1)


def test_the_sum_is_exact_across_threads(watched):
    set_failures(watched, 100)
    browsers = [watched.half() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: wrong(watched, browsers[number % 4]), range(40)))
    assert sum(each[3] for each in watched.watch.calls) == 40


@pytest.mark.parametrize("count", range(1, 90))
def test_which_tries_are_recorded(count):
    assert refused_tries.recorded(count) == max(
        each for each in (1, 2, 3, 4, 5, 10, 20, 40, 80) if each <= count
    )
