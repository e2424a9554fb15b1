"""Deleting a user's traces."""

from __future__ import annotations

from uuid import UUID

import pytest
from authhost_analytics.forgetting import forget
from authhost_analytics.persons import pseudonym
from authhost_analytics.rolling import Busy, roll_up
from authhost_analytics.tables import journey_table
from conftest import PASSWORD

from analytics.door import (
    ANN,
    BOB,
    at,
    document,
    figures_of,
    login,
    rolled,
    row,
    settings_of,
    signup,
    store,
    stored,
    user,
)


def traces(host, who):
    """Rows that bear any pseudonym that the user ever had."""
    theirs = {pseudonym(host.keyed_hash, month, who) for month in range(18_000, 22_000)}
    events = [each for each in stored(host) if {each.person, each.person_before} & theirs]
    return events + [each for each in stored(host, journey_table) if each.person in theirs]


def test_a_user_is_gone_and_the_figures_stay(make, run, clock, recorder):
    host = make(email_verification="mandatory")
    token = run(host, "signup", email=ANN, password=PASSWORD).pending_token
    clock.forward(minutes=3)
    ann = run(host, "confirm_email", token, key=recorder.key()).email_address.user_id
    run(host, "signup", email=BOB, password=PASSWORD)
    clock.forward(days=31)
    run(host, "login", identifier=ANN, password=PASSWORD)
    rolled(host, everything=True)
    before, kept = figures_of(host), len(stored(host))
    assert len(traces(host, ann)) > 1
    assert forget(host, ann) == sum(1 for each in stored(host) if each.person is None)
    assert traces(host, ann) == []
    assert len(stored(host)) == kept
    assert forget(host, ann) == 0
    rolled(host, everything=True)
    assert figures_of(host) == before
    assert any(each.person for each in stored(host, journey_table))


def test_what_is_left_says_neither_who_nor_to_the_second_when(host, clock):
    store(
        host,
        signup(host, "2026-01-01 10:11:12", 1),
        row(host, "2026-01-01 10:15:00", "email_confirmed", 1),
        login(host, "2026-01-01 10:16:00", 1, "2026-01-01"),
    )
    clock.now = at("2026-01-02")
    rolled(host)
    began = stored(host, journey_table)[0].began
    assert forget(host, user(1)) == 3
    assert {(each.person, each.person_before, each.cohort, each.second) for each in stored(host)} == {
        (None, None, None, 0)
    }
    [journey] = stored(host, journey_table)
    assert (journey.began, journey.sent, journey.confirmed, journey.logged_in) == (0, None, 300, 0)
    assert began > 0
    store(host, signup(host, "2026-01-01 11:00", 2))
    rolled(host)
    assert document(host)["signup"]["password"] == {"signed_up": 2, "sent": 0, "confirmed": 1, "logged_in": 1}
    assert sum(each["count"] for each in document(host)["time_to_confirm"]) == 1


@pytest.mark.parametrize(
    ("confirmed", "within"), [("10:10:01", 60), ("11:10:01", 6 * 3600), ("23:59", 86400), (None, None)]
)
def test_the_time_to_confirm_stays_in_its_class(host, clock, confirmed, within):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01 10:10", 1))
    if confirmed:
        store(host, row(host, f"2026-01-01 {confirmed}", "email_confirmed", 1))
    rolled(host)
    before = figures_of(host)
    forget(host, user(1))
    [journey] = stored(host, journey_table)
    assert journey.confirmed == within
    # Another signup of the day: what became of the day's is counted anew.
    store(host, signup(host, "2026-01-01 11:00", 2))
    rolled(host)
    assert figures_of(host)["authhost_analytics_duration"] == before["authhost_analytics_duration"]


def test_the_place_among_the_rows_does_not_say_when(host, clock):
    clock.now = at("2026-01-02")
    for minute in range(10, 50):
        who = 1 if minute % 2 else 2
        store(host, row(host, f"2026-01-01 10:{minute}", "password_set", who))
    assert forget(host, user(1)) == 20
    rows = sorted(stored(host))
    assert len({each.id for each in rows}) == 40
    assert [each.person is None for each in rows] == [True] * 20 + [False] * 20
    store(host, row(host, "2026-01-01 11:00", "password_set", 3))
    assert max(stored(host)).hour == rows[20].hour + 1
    assert forget(host, user(2)) == 20
    assert forget(host, user(3)) == 1
    store(host, row(host, "2026-01-01 11:00", "password_set", 3))
    rolled(host)
    assert sum(each["total"] for each in document(host)["events"]) == 42


def test_others_are_left_alone(host, clock):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1), signup(host, "2026-01-01", 2))
    rolled(host)
    before = traces(host, user(2))
    assert forget(host, user(1)) == 1
    assert traces(host, user(2)) == before


def test_what_nobody_has_rolled_up_for_months_is_forgotten_too(host, clock):
    store(host, signup(host, "2026-01-01", 1), row(host, "2026-04-01", "password_set", 1))
    clock.now = at("2026-12-31")
    assert forget(host, user(1)) == 2
    assert traces(host, user(1)) == []


def test_nobody_is_forgotten_on_an_empty_database(host):
    assert forget(host, UUID(int=5)) == 0


def test_a_roll_up_that_has_read_of_a_user_writes_it_no_more(host, clock, monkeypatch):
    clock.now = at("2026-01-04")
    store(host, *(signup(host, f"2026-01-0{day}", day) for day in (1, 2, 3)))
    steps = roll_up(host, settings_of(host))
    next(steps)
    from authhost_analytics import journeys

    read = journeys.read

    def read_and_be_overtaken(*arguments):
        found = read(*arguments)
        forget(host, user(2))
        return found

    monkeypatch.setattr(journeys, "read", read_and_be_overtaken)
    with pytest.raises(Busy):
        next(steps)
    monkeypatch.undo()
    assert traces(host, user(2)) == []
    assert rolled(host) == [1, 1]
    assert traces(host, user(2)) == []
    assert sum(each["total"] for each in document(host)["events"]) == 3


def test_under_a_former_key_it_is_done_with_that_one(host, clock, make_host):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1))

    class Former:
        engine, reader, now = host.engine, host.reader, host.now
        keyed_hash = staticmethod(lambda value: host.keyed_hash("former" + value))

    store(host, signup(Former, "2026-01-01", 1))
    assert forget(host, user(1)) == 1
    assert forget(Former, user(1)) == 1
