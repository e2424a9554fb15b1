"""Erasure of a user."""

from __future__ import annotations

from uuid import UUID

import pytest
from authhost_analytics.erasure import erase_user
from authhost_analytics.pseudonyms import all_pseudonyms
from authhost_analytics.rollup import Busy, roll_up
from authhost_analytics.tables import journey_table
from conftest import PASSWORD

from analytics.support import (
    ANN,
    BOB,
    aggregates,
    at,
    document,
    login,
    row,
    run_roll_up,
    settings_of,
    signup,
    store,
    stored,
    user,
)

OLD, NEW = "the former key of 32 characters!", "the new key of at least 32 chars"


def rows_of(host, who):
    """Return the rows that contain one of the user's pseudonyms."""
    theirs = {
        each for month in range(18_000, 22_000) for each in all_pseudonyms(host.keyed_hashes, month, who)
    }
    events = [each for each in stored(host) if {each.person, each.person_before} & theirs]
    return events + [each for each in stored(host, journey_table) if each.person in theirs]


def test_a_user_is_erased_and_the_counts_stay(make, run, clock, recorder):
    host = make(email_verification="mandatory")
    token = run(host, "signup", email=ANN, password=PASSWORD).pending_token
    clock.forward(minutes=3)
    ann = run(host, "confirm_email", token, key=recorder.key()).email_address.user_id
    run(host, "signup", email=BOB, password=PASSWORD)
    clock.forward(days=31)
    run(host, "login", identifier=ANN, password=PASSWORD)
    run_roll_up(host, everything=True)
    before, kept = aggregates(host), len(stored(host))
    assert len(rows_of(host, ann)) > 1
    assert erase_user(host, ann).events == sum(1 for each in stored(host) if each.person is None)
    assert rows_of(host, ann) == []
    assert len(stored(host)) == kept
    assert erase_user(host, ann).events == 0
    run_roll_up(host, everything=True)
    assert aggregates(host) == before
    assert any(each.person for each in stored(host, journey_table))


def test_erased_rows_contain_neither_pseudonyms_nor_seconds(host, clock):
    store(
        host,
        signup(host, "2026-01-01 10:11:12", 1),
        row(host, "2026-01-01 10:15:00", "email_confirmed", 1),
        login(host, "2026-01-01 10:16:00", 1, "2026-01-01"),
    )
    clock.now = at("2026-01-02")
    run_roll_up(host)
    began = stored(host, journey_table)[0].began
    assert erase_user(host, user(1)).events == 3
    assert {(each.person, each.person_before, each.cohort, each.second) for each in stored(host)} == {
        (None, None, None, 0)
    }
    [journey] = stored(host, journey_table)
    assert (journey.began, journey.sent, journey.confirmed, journey.logged_in) == (0, None, 300, 0)
    assert began > 0
    store(host, signup(host, "2026-01-01 11:00", 2))
    run_roll_up(host)
    assert document(host)["signup"]["password"] == {"signed_up": 2, "sent": 0, "confirmed": 1, "logged_in": 1}
    assert sum(each["count"] for each in document(host)["time_to_confirm"]) == 1


@pytest.mark.parametrize(
    ("confirmed", "within"), [("10:10:01", 60), ("11:10:01", 6 * 3600), ("23:59", 86400), (None, None)]
)
def test_the_time_to_confirm_keeps_its_limit(host, clock, confirmed, within):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01 10:10", 1))
    if confirmed:
        store(host, row(host, f"2026-01-01 {confirmed}", "email_confirmed", 1))
    run_roll_up(host)
    before = aggregates(host)
    erase_user(host, user(1))
    [journey] = stored(host, journey_table)
    assert journey.confirmed == within
    # Another signup of the day makes the roll-up count that day again.
    store(host, signup(host, "2026-01-01 11:00", 2))
    run_roll_up(host)
    assert aggregates(host)["authhost_analytics_duration"] == before["authhost_analytics_duration"]


def test_the_id_of_an_erased_row_does_not_reveal_its_time(host, clock):
    clock.now = at("2026-01-02")
    for minute in range(10, 50):
        who = 1 if minute % 2 else 2
        store(host, row(host, f"2026-01-01 10:{minute}", "password_set", who))
    assert erase_user(host, user(1)).events == 20
    rows = sorted(stored(host))
    assert len({each.id for each in rows}) == 40
    assert [each.person is None for each in rows] == [True] * 20 + [False] * 20
    store(host, row(host, "2026-01-01 11:00", "password_set", 3))
    assert max(stored(host)).hour == rows[20].hour + 1
    assert erase_user(host, user(2)).events == 20
    assert erase_user(host, user(3)).events == 1
    store(host, row(host, "2026-01-01 11:00", "password_set", 3))
    run_roll_up(host)
    assert sum(each["total"] for each in document(host)["events"]) == 42


def test_other_users_are_not_changed(host, clock):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1), signup(host, "2026-01-01", 2))
    run_roll_up(host)
    before = rows_of(host, user(2))
    assert erase_user(host, user(1)).events == 1
    assert rows_of(host, user(2)) == before


def test_events_that_no_roll_up_has_read_for_months_are_erased(host, clock):
    store(host, signup(host, "2026-01-01", 1), row(host, "2026-04-01", "password_set", 1))
    clock.now = at("2026-12-31")
    assert erase_user(host, user(1)).events == 2
    assert rows_of(host, user(1)) == []


def test_erasure_on_an_empty_database(host):
    assert erase_user(host, UUID(int=5)) == (0, 0)


def test_a_running_roll_up_does_not_write_an_erased_user(host, clock, monkeypatch):
    clock.now = at("2026-01-04")
    store(host, *(signup(host, f"2026-01-0{day}", day) for day in (1, 2, 3)))
    steps = roll_up(host, settings_of(host))
    next(steps)
    from authhost_analytics import funnels

    read = funnels.read

    def read_then_erase(*arguments):
        found = read(*arguments)
        erase_user(host, user(2))
        return found

    monkeypatch.setattr(funnels, "read", read_then_erase)
    with pytest.raises(Busy):
        next(steps)
    monkeypatch.undo()
    assert rows_of(host, user(2)) == []
    assert run_roll_up(host) == [1, 1]
    assert rows_of(host, user(2)) == []
    assert sum(each["total"] for each in document(host)["events"]) == 3


def test_erasure_with_a_former_secret_key(host, clock, make_host):
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1))

    class Former:
        engine, reader, now = host.engine, host.reader, host.now
        keyed_hashes = staticmethod(lambda value: host.keyed_hashes("former" + value))

    store(host, signup(Former, "2026-01-01", 1))
    assert erase_user(host, user(1)).events == 1
    assert erase_user(Former, user(1)).events == 1


def test_erasure_and_export_find_the_events_of_all_listed_keys(make, run):
    token = run(make(secret_key=OLD), "signup", email=ANN, password=PASSWORD).session_token
    changed = make(secret_key=(NEW, OLD))
    run(make(secret_key=NEW), "login", identifier=ANN, password=PASSWORD)
    with changed.request(session_token=token) as request:
        who = request.user.id
        events = request.accounts.export(who)["plugins"]["analytics"]["events"]
    assert len(events) == len(stored(changed))
    erase_user(changed, who)
    assert rows_of(changed, who) == []


def test_a_user_is_exported_and_erased_with_the_account(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    bob = run(host, "signup", email=BOB, password=PASSWORD).user
    run_roll_up(host, everything=True)
    with host.request() as request:
        data = request.accounts.export(ann.user.id)["plugins"]["analytics"]
    assert [each["event"] for each in data["events"]] == ["user_signed_up", "account_ready", "user_logged_in"]
    assert data["events"][0]["time"] == host.now.isoformat()
    assert [each["method"] for each in data["signups"]] == ["password"]
    with host.request(session_token=ann.session_token) as request:
        request.accounts.delete(ann.user.id)  # with an event of this request: the logout
    assert rows_of(host, ann.user.id) == []
    assert "user_logged_out" in {each.event for each in stored(host)}
    assert rows_of(host, bob.id)
