"""What is stored, and for how long."""

from __future__ import annotations

from datetime import timedelta

from authhost_analytics import unique_users
from authhost_analytics.tables import count_table, hour_table, people_table

from analytics.support import at, count, document, events, people, run_roll_up, signup, store, stored


def test_events_expire_and_counts_stay(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 5})
    clock.now = at("2026-01-04 12:00")
    store(host, signup(host, "2026-01-01 11:30", 1), signup(host, "2026-01-01 12:30", 2))
    run_roll_up(host)
    assert [each.hour % 24 for each in stored(host)] == [12]
    clock.now = at("2026-01-20")
    run_roll_up(host)
    assert count(host) == 0
    assert {each.grain for each in stored(host, count_table)} == {"day"}
    assert events(host) == {"user_signed_up": 2}
    assert people(host, "day") == {"2026-01-01": 2}
    assert document(host, grain="hour", until="2026-01-31")["events"] == []


def test_a_day_is_complete_if_its_hours_are_committed_late(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 3})
    clock.now = at("2026-01-03 23:00")
    store(host, signup(host, "2026-01-02 00:10", 1))
    run_roll_up(host)
    clock.now = at("2026-01-04 23:00")
    run_roll_up(host)
    store(host, signup(host, "2026-01-02 23:50", 2))
    run_roll_up(host)
    assert events(host) == {"user_signed_up": 2}


def test_the_oldest_day_is_complete_after_a_roll_up_of_everything(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 3})
    store(host, signup(host, "2026-01-02 05:00", 1))
    clock.now = at("2026-01-05 12:30")
    run_roll_up(host)
    store(host, signup(host, "2026-01-02 14:00", 2))
    run_roll_up(host, everything=True)
    assert events(host) == {"user_signed_up": 2}


def test_numbers_of_hours_expire(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 5})
    clock.now = at("2026-01-04 12:00")
    store(host, signup(host, "2026-01-01 11:30", 1), signup(host, "2026-01-04 11:30", 2))
    run_roll_up(host)
    assert [each.events for each in stored(host, hour_table)] == [1]
    assert run_roll_up(host, everything=True) == []
    clock.now = at("2026-01-20")
    run_roll_up(host)
    assert stored(host, hour_table) == []
    assert events(host) == {"user_signed_up": 2}


def test_salts_are_deleted_with_the_last_event_of_the_period(make, clock):
    host = make(analytics={"keep_days": 3})
    clock.now = at("2026-01-01 12:00")
    store(host, signup(host, "2026-01-01 10:00", 1))
    run_roll_up(host)
    assert all(each.salt for each in stored(host, people_table))
    salted = []
    for day in range(1, 40):
        clock.now = at("2026-01-01 12:00") + timedelta(days=day)
        run_roll_up(host)
        salted.append({each.grain for each in stored(host, people_table) if each.salt})
    assert salted[0] == {"day", "week", "month"}
    assert salted[4] == {"week", "month"}
    assert salted[10] == {"month"}
    assert salted[-1] == set()
    assert people(host, "month") == {"2026-01-01": 1}


def test_a_period_without_salt_is_not_changed(make, clock):
    host = make(analytics={"keep_days": 3})
    clock.now = at("2026-01-01 12:00")
    store(host, signup(host, "2026-01-01 10:00", 1))
    run_roll_up(host)
    clock.now = at("2026-03-01")
    run_roll_up(host)
    closed = stored(host, people_table)
    with host.engine.begin() as connection:
        unique_users.write(connection, {(each.grain, each.start, each.cohort): {1, 2, 3} for each in closed})
    assert sorted(stored(host, people_table)) == sorted(closed)
    assert {each.salt for each in closed} == {None}
