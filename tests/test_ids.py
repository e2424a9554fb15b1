"""Identifiers are UUIDs of version 7 that follow the host's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread

from hypothesis import given, strategies as st

from authhost.security.ids import SET_BACK_MS, Identifiers

START = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.lists(st.integers(-5_000, 100_000), min_size=1, max_size=60))
def test_each_is_later_than_the_one_before(steps):
    now = [START]
    identifiers = Identifiers(lambda: now[0])
    made = []
    for step in steps:
        now[0] += timedelta(milliseconds=step)
        made.append(identifiers.new())
    assert made == sorted(set(made))
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}


@given(st.lists(st.integers(-200_000_000, 200_000_000), max_size=30))
def test_a_clock_that_is_set_right_is_followed(steps):
    now = [START]
    identifiers = Identifiers(lambda: now[0])
    made = [identifiers.new()]
    for step in steps:
        now[0] += timedelta(milliseconds=step)
        made.append(identifiers.new())
        assert abs((made[-1].int >> 80) - int(now[0].timestamp() * 1000)) <= SET_BACK_MS
    assert len(set(made)) == len(made)


@given(st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)))
def test_the_time_is_that_of_the_clock(time):
    time = time.replace(tzinfo=UTC)
    assert Identifiers(lambda: time).new().int >> 80 == int(time.timestamp() * 1000)


def test_threads_get_different_ones():
    identifiers, made = Identifiers(lambda: START), []
    threads = [Thread(target=lambda: made.extend(identifiers.new() for _ in range(1000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8000
