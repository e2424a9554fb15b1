"""What is kept, and for how long."""

from __future__ import annotations

from datetime import timedelta

from authhost_analytics import crowds
from authhost_analytics.tables import count_table, hour_table, people_table

from analytics.door import at, count, document, events, people, rolled, signup, store, stored


def test_events_go_after_their_days_and_figures_stay(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 5})
    clock.now = at("2026-01-04 12:00")
    store(host, signup(host, "2026-01-01 11:30", 1), signup(host, "2026-01-01 12:30", 2))
    rolled(host)
    assert [each.hour % 24 for each in stored(host)] == [12]
    clock.now = at("2026-01-20")
    rolled(host)
    assert count(host) == 0
    assert {each.grain for each in stored(host, count_table)} == {"day"}
    assert events(host) == {"user_signed_up": 2}
    assert people(host, "day") == {"2026-01-01": 2}
    assert document(host, grain="hour", until="2026-01-31")["events"] == []


def test_a_day_is_whole_though_its_hours_come_late(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 3})
    clock.now = at("2026-01-03 23:00")
    store(host, signup(host, "2026-01-02 00:10", 1))
    rolled(host)
    clock.now = at("2026-01-04 23:00")
    rolled(host)
    store(host, signup(host, "2026-01-02 23:50", 2))
    rolled(host)
    assert events(host) == {"user_signed_up": 2}


def test_a_day_at_the_edge_is_whole_though_all_are_looked_at(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 3})
    store(host, signup(host, "2026-01-02 05:00", 1))
    clock.now = at("2026-01-05 12:30")
    rolled(host)
    store(host, signup(host, "2026-01-02 14:00", 2))
    rolled(host, everything=True)
    assert events(host) == {"user_signed_up": 2}


def test_no_number_of_an_hour_is_kept_for_longer(make, clock):
    host = make(analytics={"keep_days": 3, "keep_hours_days": 5})
    clock.now = at("2026-01-04 12:00")
    store(host, signup(host, "2026-01-01 11:30", 1), signup(host, "2026-01-04 11:30", 2))
    rolled(host)
    assert [each.events for each in stored(host, hour_table)] == [1]
    assert rolled(host, everything=True) == []
    clock.now = at("2026-01-20")
    rolled(host)
    assert stored(host, hour_table) == []
    assert events(host) == {"user_signed_up": 2}


def test_salts_go_when_no_event_is_kept(make, clock):
    host = make(analytics={"keep_days": 3})
    clock.now = at("2026-01-01 12:00")
    store(host, signup(host, "2026-01-01 10:00", 1))
    rolled(host)
    assert all(each.salt for each in stored(host, people_table))
    salted = []
    for day in range(1, 40):
        clock.now = at("2026-01-01 12:00") + timedelta(days=day)
        rolled(host)
        salted.append({each.grain for each in stored(host, people_table) if each.salt})
    assert salted[0] == {"day", "week", "month"}
    assert salted[4] == {"week", "month"}
    assert salted[10] == {"month"}
    assert salted[-1] == set()
    assert people(host, "month") == {"2026-01-01": 1}


def test_a_closed_period_stays_as_it_is(make, clock):
    host = make(analytics={"keep_days": 3})
    clock.now = at("2026-01-01 12:00")
    store(host, signup(host, "2026-01-01 10:00", 1))
    rolled(host)
    clock.now = at("2026-03-01")
    rolled(host)
    closed = stored(host, people_table)
    with host.engine.begin() as connection:
        crowds.write(connection, {(each.grain, each.start, each.cohort): {1, 2, 3} for each in closed})
    assert sorted(stored(host, people_table)) == sorted(closed)
    assert {each.salt for each in closed} == {None}
