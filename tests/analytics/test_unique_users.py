"""Unique users, and retention."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from authhost_analytics.sketches import (
    COHORT_LOG2_REGISTERS,
    COHORT_STANDARD_ERROR,
    LOG2_REGISTERS,
    STANDARD_ERROR,
    add_to_sketch,
)
from authhost_analytics.tables import people_table
from hypothesis import given, settings, strategies as st

from analytics.support import at, document, login, people, row, run_roll_up, signup, store, stored

SALT = b"s" * 16
pseudonyms = st.sets(st.integers(-(2**63), 2**63 - 1), max_size=300)


@settings(deadline=None)
@given(pseudonyms, st.lists(pseudonyms, max_size=3))
def test_a_few_hundred_are_counted_exactly_in_any_batches(first, batches):
    sketch, together = None, set()
    for part in (first, *batches):
        if len(together | part) > 300:
            break
        together |= part
        sketch, found = add_to_sketch(sketch, COHORT_LOG2_REGISTERS, SALT, part)
        assert found == len(together)


@pytest.mark.parametrize(
    ("size", "error"), [(LOG2_REGISTERS, STANDARD_ERROR), (COHORT_LOG2_REGISTERS, COHORT_STANDARD_ERROR)]
)
def test_many_are_counted_within_the_stated_error(size, error):
    off, sketch = [], None
    for turn in range(20):
        sketch = None
        for start in range(0, 20_000, 5_000):
            people = range(turn * 20_000 + start, turn * 20_000 + start + 5_000)
            sketch, found = add_to_sketch(sketch, size, turn.to_bytes(16, "big"), people)
        off.append(found / 20_000 - 1)
    assert len(sketch) < 2**size
    assert max(map(abs, off)) < 4 * error
    spread = (sum(each**2 for each in off) / len(off)) ** 0.5
    assert spread < 1.6 * error


def test_a_sketch_holds_no_pseudonym_and_salts_differ():
    person = int.from_bytes(os.urandom(7), "big")
    first, _ = add_to_sketch(None, LOG2_REGISTERS, SALT, [person])
    assert person.to_bytes(8, "big") not in first
    assert person.to_bytes(8, "little") not in first
    assert add_to_sketch(None, LOG2_REGISTERS, b"t" * 16, [person])[0] != first


@pytest.mark.parametrize(
    ("count", "digest"),
    [
        (5, "c9a9e20ae982e22b"),
        (500, "4091920f7dcc54cb"),
        (20_000, "e1634939aea1d66b"),
    ],
)
def test_stored_sketches_can_be_continued(count, digest):
    """A change of the library's hash or format would make stored sketches useless."""
    sketch, _ = add_to_sketch(None, COHORT_LOG2_REGISTERS, SALT, range(count))
    assert hashlib.sha256(sketch).hexdigest()[:16] == digest


def test_numpy_is_not_needed():
    code = """
import sys
sys.modules["numpy"] = None
from authhost_analytics.sketches import add_to_sketch
sketch, _ = add_to_sketch(None, 12, b"s" * 16, range(1000))
print(add_to_sketch(sketch, 12, b"s" * 16, range(500, 2000))[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sketch, _ = add_to_sketch(None, 12, SALT, range(1000))
    assert int(done.stdout) == add_to_sketch(sketch, 12, SALT, range(500, 2000))[1]


def test_a_week_across_two_months(host, clock):
    # The week of Monday, 26 January, ends on the first of February.
    clock.now = at("2026-02-20")
    for time in ("2026-01-26", "2026-01-31 23:59", "2026-02-01", "2026-02-01 23:59", "2026-02-02"):
        store(host, row(host, time, "user_logged_out", 1), row(host, time, "user_logged_out", 2))
    store(host, row(host, "2026-02-01", "user_logged_out", 3))
    run_roll_up(host)
    assert people(host, "week") == {"2026-01-26": 3, "2026-02-02": 2}
    assert people(host, "month") == {"2026-01-01": 2, "2026-02-01": 3}
    assert people(host, "day")["2026-02-01"] == 3


def test_a_year_begins_in_the_middle_of_a_week(host, clock):
    clock.now = at("2026-01-05")
    store(host, *(row(host, time, "user_logged_out", 1) for time in ("2025-12-30", "2026-01-04 23:00")))
    run_roll_up(host)
    assert people(host, "week", since="2026-01-01") == {"2025-12-29": 1}
    assert people(host, "month", since="2026-01-01") == {"2026-01-01": 1}
    assert people(host, "month", since="2025-12-31") == {"2025-12-01": 1, "2026-01-01": 1}


def test_a_user_is_counted_once(host, clock):
    clock.now = at("2026-01-02")
    for _ in range(3):
        store(host, *(row(host, f"2026-01-01 0{hour}:00", "user_logged_out", 1) for hour in range(9)))
        run_roll_up(host)
    assert people(host, "day") == {"2026-01-01": 1}


def test_a_day_without_users_is_shown(host, clock):
    clock.now = at("2026-01-05")
    store(host, signup(host, "2026-01-02", 1))
    run_roll_up(host)
    found = document(host, since="2026-01-01", until="2026-01-03")["people"]
    assert found["day"] == {"2026-01-01": 0, "2026-01-02": 1, "2026-01-03": 0}


def test_retention(host, clock):
    clock.now = at("2026-01-31")
    joined = "2026-01-06"
    store(
        host,
        *(signup(host, joined, who) for who in (1, 2, 3)),
        login(host, joined, 1, joined),
        login(host, "2026-01-13", 1, joined),
        login(host, "2026-01-18 23:59", 2, joined),
        login(host, "2026-01-27", 1, joined),
        # Neither a login nor a signup, so it does not count as activity.
        row(host, "2026-01-20", "email_added", 3),
        signup(host, "2026-01-14", 4),
    )
    run_roll_up(host)
    assert document(host, until="2026-01-31")["cohorts"] == [
        {"week": "2026-01-05", "signed_up": 3, "came": [3, 2, 0, 1]},
        {"week": "2026-01-12", "signed_up": 1, "came": [1, 0, 0]},
    ]


def test_a_user_who_signed_up_before_the_span_is_in_no_cohort(host, clock):
    clock.now = at("2026-01-31")
    store(host, login(host, "2026-01-13", 1, "2020-05-05"))
    run_roll_up(host)
    assert document(host)["cohorts"] == []
    assert {each.cohort for each in stored(host, people_table) if each.cohort} == {18386}
