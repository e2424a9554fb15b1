"""Keys that begin with their time: a list says which one is new, active and former."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from authhost.security.key_age import KeyList, created, fingerprint, new_timed_key

NOW = datetime(2026, 11, 28, 9, 30, 0, 5, tzinfo=UTC)
MANUAL, OTHER = "a key that somebody has typed: 32", "another key that somebody has typed"


def test_a_key_begins_with_its_time_and_is_random():
    one, other = new_timed_key(NOW, ()), new_timed_key(NOW, ())
    assert one.startswith("20261128T093000000005Z-")
    assert created(one) == created(other) == NOW
    assert one != other
    assert "," not in one
    assert len(one) >= 32


def test_a_new_key_is_newer_than_all_others_whatever_the_clock_says():
    first = new_timed_key(NOW, [MANUAL])
    second = new_timed_key(NOW - timedelta(days=1), [first, MANUAL])
    assert created(second) > created(first)


@given(st.text(max_size=80))
def test_any_other_key_has_no_time(text):
    assert created(text) is None


def test_a_key_with_an_impossible_time_has_none():
    assert created("20269928T093000000005Z-" + "x" * 43) is None


def test_the_status_of_each_key():
    old = new_timed_key(NOW, ())
    new = new_timed_key(NOW, [old])
    newest = new_timed_key(NOW, [new])
    for keys, upcoming, former in (
        ([MANUAL], (), ()),
        ([MANUAL, OTHER], (), (OTHER,)),
        ([MANUAL, old], (old,), ()),
        ([old, MANUAL], (), (MANUAL,)),
        ([old, MANUAL, new, newest], (newest, new), (MANUAL,)),
        ([new, old, MANUAL], (), (old, MANUAL)),
    ):
        found = KeyList.of(keys)
        assert (found.active, found.upcoming, found.former) == (keys[0], upcoming, former)
        assert sorted(found.newest_first) == sorted(keys)
        assert not any(key in repr(found) for key in keys)


def test_the_last_one_by_age_is_the_same_in_all_phases_of_a_change():
    new = new_timed_key(NOW, [MANUAL])
    for keys in ([MANUAL], [MANUAL, new], [new, MANUAL]):
        assert KeyList.of(keys).newest_first[-1] == MANUAL


def test_a_fingerprint_is_short_and_no_part_of_the_key():
    key = new_timed_key(NOW, ())
    assert len(fingerprint(key)) == 8
    assert fingerprint(key) not in key
    assert fingerprint(key) != fingerprint(new_timed_key(NOW, ()))
