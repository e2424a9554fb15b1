"""The roll-up: in any order and batches, by several processes, and after a crash."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from authhost_analytics import funnels, unique_users
from authhost_analytics.events import event_row
from authhost_analytics.rollup import LEASE, Busy, roll_up
from authhost_analytics.tables import (
    DIMENSIONS,
    count_table,
    event_table,
    funnel_table,
    hour_table,
    journey_table,
    metadata,
)
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import delete

from analytics.support import (
    aggregates,
    at,
    count,
    document,
    events,
    login,
    people,
    row,
    run_roll_up,
    settings_of,
    signup,
    store,
    stored,
    user,
)

FIRST = datetime(2026, 1, 10, tzinfo=UTC)
SPAN = 55 * 24 * 60
STEPS = ("email_confirmation_sent", "email_confirmed", "user_logged_in", "user_logged_out")
LIMITS = (60, 300, 900, 3600, 21600, 86400, 259200, 604800, 2**31 - 1)
histories = st.lists(
    st.tuples(
        st.integers(0, SPAN),
        st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, SPAN)), max_size=6),
    ),
    min_size=1,
    max_size=6,
)


def events_of(histories):
    """Yield ``(time, event, user, joined)``."""
    for who, (joined, steps) in enumerate(histories):
        began = FIRST + timedelta(minutes=joined)
        yield began, "user_signed_up", who, began
        for event, later in steps:
            if joined + later <= SPAN:
                yield began + timedelta(minutes=later), event, who, began


def as_row(host, time, event, who, joined):
    cohort = joined if event in ("user_signed_up", "user_logged_in") else None
    flow = "signup" if event == "email_confirmation_sent" else ""
    return event_row(host.keyed_hashes, time, event, user(who), joined=cohort, flow=flow)


def monday(time):
    return time.date() - timedelta(days=time.weekday())


def expected_report(history):
    """Compute the report from the events with sets and counters."""
    counts, users, came = Counter(), defaultdict(set), defaultdict(set)
    funnel, durations, first = defaultdict(Counter), Counter(), {}
    for time, event, who, joined in sorted(history):
        counts[time.date().isoformat(), event] += 1
        users["day", time.date()].add(who)
        users["week", monday(time)].add(who)
        users["month", time.date().replace(day=1)].add(who)
        if event in ("user_signed_up", "user_logged_in"):
            came[monday(joined), (monday(time) - monday(joined)).days // 7].add(who)
        followed = (time.year * 12 + time.month) - (joined.year * 12 + joined.month) <= 1
        if followed and event != "user_logged_out" and (who, event) not in first:
            first[who, event] = time
            funnel[joined.date()][event] += 1
            if event == "email_confirmed":
                lasted = (time - joined).total_seconds()
                durations[next(limit for limit in LIMITS if lasted <= limit)] += 1
    return (
        counts,
        {(grain, start.isoformat()): len(who) for (grain, start), who in users.items()},
        {(week.isoformat(), number): len(who) for (week, number), who in came.items()},
        {day.isoformat(): dict(steps) for day, steps in funnel.items()},
        durations,
    )


def actual_report(host):
    found = document(host, until="2026-03-31")
    counts = Counter()
    for each in found["events"]:
        for day, number in zip(found["periods"], each["counts"], strict=True):
            counts[day, each["event"]] += number
    names = dict(zip(("sent", "confirmed", "logged_in"), STEPS, strict=False), signed_up="user_signed_up")
    funnel = {
        (datetime(1970, 1, 1) + timedelta(days=each.day)).date().isoformat(): {
            event: value for name, event in names.items() if (value := each._mapping[name])
        }
        for each in stored(host, funnel_table)
    }
    return (
        +counts,
        {
            (grain, start): number
            for grain, periods in found["people"].items()
            for start, number in periods.items()
            if number
        },
        {
            (each["week"], weeks): number
            for each in found["cohorts"]
            for weeks, number in enumerate(each["came"])
            if number
        },
        funnel,
        +Counter({each["within_seconds"] or LIMITS[-1]: each["count"] for each in found["time_to_confirm"]}),
    )


def empty(host):
    with host.engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=histories, data=st.data())
def test_any_order_and_any_batches_give_the_expected_report(make_once, histories, data):
    host = make_once
    empty(host)
    history = list(events_of(histories))
    order = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(order)), max_size=4)) | {0, len(order)})
    for start, end in pairwise(cuts):
        store(host, *(as_row(host, *each) for each in order[start:end]))
        run_roll_up(host, everything=True)
    assert actual_report(host) == expected_report(history)


@pytest.fixture
def make_once(make, clock):
    """A host whose clock shows the end of the tested time."""
    clock.now = FIRST + timedelta(minutes=SPAN, hours=1)
    return make(analytics={"keep_days": 60})


def test_nothing_changes_when_nothing_is_new(host, clock):
    clock.now = at("2026-01-03")
    store(host, signup(host, "2026-01-01 10:00", 1), login(host, "2026-01-02", 1, "2026-01-01"))
    assert run_roll_up(host) == [1, 1]
    before = aggregates(host)
    assert run_roll_up(host) == []
    assert run_roll_up(host, everything=True) == []
    assert aggregates(host) == before


def test_a_late_commit_is_counted(host, clock):
    clock.now = at("2026-01-03")
    store(host, signup(host, "2026-01-01 10:00", 1))
    run_roll_up(host)
    store(host, signup(host, "2026-01-01 10:30", 2))
    assert run_roll_up(host) == [2]
    assert events(host) == {"user_signed_up": 2}
    assert people(host, "day") == {"2026-01-01": 2}


def test_a_commit_later_than_the_limit_is_counted_with_everything(host, clock):
    clock.now = at("2026-01-10")
    run_roll_up(host)
    store(host, signup(host, "2026-01-05", 1))
    assert run_roll_up(host) == []
    assert run_roll_up(host, everything=True) == [1]


def test_expired_events_are_counted_before_they_are_deleted(host, clock):
    store(host, signup(host, "2026-01-01 10:00", 1), row(host, "2026-01-02", "email_confirmed", 1))
    clock.now = at("2026-07-01")
    run_roll_up(host)
    assert events(host) == {"user_signed_up": 1, "email_confirmed": 1}
    assert document(host)["signup"] == {
        "password": {"signed_up": 1, "sent": 0, "confirmed": 1, "logged_in": 0}
    }
    assert count(host) == count(host, journey_table) == 0


def test_a_roll_up_continues_after_a_crash(host, clock, monkeypatch):
    clock.now = at("2026-01-05")
    for day in (1, 2, 3, 4):
        store(host, signup(host, f"2026-01-0{day} 10:00", day), signup(host, f"2026-01-0{day}", 10 + day))
    steps = roll_up(host, settings_of(host))
    assert next(steps) == 2

    def die(*_):
        raise KeyboardInterrupt

    for module in (unique_users, funnels):
        with monkeypatch.context() as patch:
            patch.setattr(module, "write", die)
            with pytest.raises(KeyboardInterrupt):
                next(steps)
        steps = roll_up(host, settings_of(host))
    assert events(host) == {"user_signed_up": 2}
    assert list(steps) == [2, 2, 2]
    assert events(host) == {"user_signed_up": 8}
    assert people(host, "month") == {"2026-01-01": 8}


def test_one_at_a_time(host, clock):
    clock.now = at("2026-01-05")
    store(host, signup(host, "2026-01-01", 1), signup(host, "2026-01-02", 2))
    steps = roll_up(host, settings_of(host))
    next(steps)
    with pytest.raises(Busy):
        run_roll_up(host)
    assert list(steps) == [1]
    assert run_roll_up(host) == []


def test_an_expired_lease_is_taken_over_and_the_former_owner_cannot_write(host, clock):
    clock.now = at("2026-01-05")
    store(host, *(signup(host, f"2026-01-0{day}", day) for day in (1, 2, 3)))
    stalled = roll_up(host, settings_of(host))
    next(stalled)
    clock.forward(seconds=LEASE + 1)
    assert run_roll_up(host) == [1, 1]
    before = aggregates(host)
    with pytest.raises(Busy):
        list(stalled)
    assert aggregates(host) == before
    assert run_roll_up(host) == []


def test_every_column_of_an_event_is_in_its_count(host, clock):
    clock.now = at("2026-01-02")
    labels = {"flow": "login", "outcome": "rate_limited", "provider": "corp"}
    store(host, row(host, "2026-01-01 10:00", "flow_refused", **labels))
    run_roll_up(host)
    for each in stored(host, count_table):
        assert {name: each._mapping[name] for name in DIMENSIONS} == {
            "event": "flow_refused",
            "method": "",
            **labels,
        }
    assert [each.events for each in stored(host, hour_table)] == [1]
    assert count(host, event_table) == 1
