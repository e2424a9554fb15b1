"""Repeated refusals are recorded once, with a count that misses none."""

from __future__ import annotations

import gc
import weakref
from collections import Counter

import pytest
from authhost_analytics.plugin import plugin as analytics
from authhost_analytics.rollup import roll_up
from authhost_analytics.tables import count_table, event_table as analytics_table
from authhost_audit.plugin import plugin as audit
from authhost_audit.tables import event_table as audit_table
from authhost_audit.vocabulary import ACTIVITY, SECURITY, classify
from authhost_hookspecs import FlowError, hookimpl
from conftest import PASSWORD
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select

from authhost.errors import AuthError, InvalidInput, RateLimited
from authhost.security import refusals

NOBODY = "nobody@example.org"


class Refused:
    """Notes each call of `flow_refused`."""

    def __init__(self):
        self.calls = []

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        where = request.ip_address
        self.calls.append((flow, error.code, where, request.identifier_digest, request.repeated))

    def counts(self):
        return [each[-1] for each in self.calls]


@pytest.fixture
def refused():
    return Refused()


@pytest.fixture
def host(make_host, refused):
    return make_host({"refused": refused})


def refuse(host, flow="signup", place="203.0.113.7", **values):
    """Run a flow that is refused."""
    values = values or {"email": "no address", "password": PASSWORD}
    with pytest.raises(AuthError), host.request(ip_address=place, user_agent="curl") as request:
        getattr(host.account, flow)(request, **values)


def test_the_first_are_recorded_one_by_one_and_the_others_with_a_count(host, refused):
    for _ in range(42):
        refuse(host)
    assert refused.counts() == [1, 1, 1, 1, 1, 5, 10, 20]
    host.close()
    assert refused.counts() == [1, 1, 1, 1, 1, 5, 10, 20, 2]
    assert refused.calls[-1] == ("signup", "invalid_email", "203.0.113.7", None, 2)


def test_what_is_left_is_recorded_when_the_minute_is_over(host, refused, clock):
    for _ in range(8):
        refuse(host)
    clock.forward(seconds=59)
    refuse(host, place="192.0.2.1")
    assert sum(refused.counts()) == 6
    clock.forward(seconds=1)
    refuse(host, place="192.0.2.1")
    assert sum(refused.counts()) == 10
    assert refused.calls[-1][2:] == ("203.0.113.7", None, 3)
    refuse(host)
    assert refused.counts()[-1] == 1


def test_networks_flows_codes_and_users_are_counted_apart(host, refused, run):
    token = run(host, "signup", email="ann@example.org", password=PASSWORD).session_token
    for number in range(4):
        refuse(host, place=f"2001:db8:1:1::{number}")
        refuse(host, place=f"2001:db8:1:2::{number}")
        refuse(host, "request_password_reset", email="no address")
        refuse(host, password="short", email="ann@example.org")
        with (
            pytest.raises(InvalidInput),
            host.request(session_token=token, ip_address="203.0.113.7") as request,
        ):
            host.account.signup(request, email="no address", password=PASSWORD)
    assert refused.counts() == [1] * 20
    for number in range(4):
        refuse(host, place=f"2001:db8:1:1:{number}::")
    assert refused.counts() == [1] * 21


def test_each_wrong_password_is_recorded(host, refused):
    for _ in range(40):
        refuse(host, "login", identifier=NOBODY, password="wrong")
    assert refused.counts() == [1] * 40


def test_a_unit_that_fails_later_records_the_count(host, refused):
    for _ in range(9):
        refuse(host)
    with pytest.raises(ZeroDivisionError), host.request(ip_address="203.0.113.7") as request:
        assert request.connection is not None
        with pytest.raises(AuthError):
            host.account.signup(request, email="no address", password=PASSWORD)
        raise ZeroDivisionError
    # Told within the unit, and again for the record since the unit was rolled back.
    assert refused.counts() == [1, 1, 1, 1, 1, 5, 5]


def test_nothing_of_a_refused_flow_is_kept_in_memory(host, recorder):
    class Password(str):
        __slots__ = ("__weakref__",)

    kept = []
    for _ in range(8):
        password = Password("a secret of somebody")
        kept.append(weakref.ref(password))
        refuse(host, email="no address", password=password)
        del password
    recorder.calls.clear()
    gc.collect()
    assert not any(each() for each in kept)


def test_memory_is_bounded(host, refused, monkeypatch):
    monkeypatch.setattr(refusals, "MAX_WINDOWS", 10)
    for number in range(40):
        for _ in range(7):
            refuse(host, place=f"203.0.113.{number}")
    assert len(host.services.refusals._windows) <= 10
    assert not host.services.refusals._expired
    host.close()
    assert Counter(each[2] for each in refused.calls for _ in range(each[-1])) == {
        f"203.0.113.{number}": 7 for number in range(40)
    }


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(0, 61)), max_size=12))
def test_the_sum_is_exact(make_host, clock, steps):
    refused = Refused()
    host = make_host({"refused": refused})
    sent = Counter()
    for network, times, later in steps:
        place = f"203.0.113.{network}"
        for _ in range(times):
            refuse(host, place=place)
        sent[place] += times
        clock.forward(seconds=later)
    host.close()
    told = Counter()
    for each in refused.calls:
        told[each[2]] += each[-1]
    assert told == sent
    assert len(refused.calls) <= sum(10 for _ in steps)


def test_a_record_that_fails_is_told_and_breaks_nobody(make_host, caplog, clock):
    class Broken(Refused):
        @hookimpl
        def flow_refused(self, request, flow, error, user):
            if request.repeated > 1:
                raise OSError
            self.calls.append(flow)

    host = make_host({"broken": Broken()}, required_plugins=("broken",))
    for _ in range(8):
        refuse(host)
    clock.forward(minutes=2)
    refuse(host, place="192.0.2.1")
    assert "3 repeated refusals (signup: invalid_email) were not recorded" in caplog.text


def test_the_trail_has_few_records_and_all_are_counted(make_host, clock):
    host = make_host({"audit": audit})
    for _ in range(2000):
        refuse(host)
    host.close()
    with host.engine.connect() as connection:
        found = connection.execute(select(audit_table.c.data).where(audit_table.c.event == "flow_refused"))
        data = found.scalars().all()
    assert len(data) < 20
    assert sum(int(each.partition('"repeated":')[2].rstrip("}") or 1) for each in data) == 2000


@pytest.mark.parametrize("reason", ["rate_limited", "invalid_input", "invalid_email", "weak_password"])
def test_what_got_nowhere_is_kept_for_a_shorter_time(reason):
    assert classify("flow_refused", reason).kind == ACTIVITY
    assert classify("flow_refused", "invalid_credentials").kind == SECURITY


def test_the_figures_count_each_of_them(make_host):
    host = make_host({"analytics": analytics})
    for _ in range(77):
        refuse(host)
    with host.request() as request:
        host.account.logout(request)
    host.close()
    rolled = sum(roll_up(host, host.plugin_settings("analytics")))
    with host.engine.connect() as connection:
        rows = connection.execute(select(analytics_table.c.repeated)).scalars().all()
        by_day = select(count_table.c["count"]).where(count_table.c.grain == "day")
        assert connection.execute(by_day).scalars().all() == [77]
    assert rolled == sum(rows) == 77
    assert len(rows) < 12
    assert list(roll_up(host, host.plugin_settings("analytics"))) == []


def test_plugins_know_every_refusal_as_a_flow_error_of_the_contract():
    error = RateLimited(retry_after=3)
    assert isinstance(error, FlowError)
    assert (error.code, error.fields) == ("rate_limited", {"retry_after": 3})
