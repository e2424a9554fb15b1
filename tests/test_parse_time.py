"""Times that operators write: the same ones for every command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from authhost_hookspecs import parse_time
from hypothesis import given, strategies as st

MIDNIGHT = datetime(2026, 12, 31, tzinfo=UTC)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES))
def test_a_time_that_was_printed_is_read(time):
    read = parse_time(time.isoformat())
    assert read == time
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-12-31", MIDNIGHT),
        ("2026-12-31T00:00", MIDNIGHT),
        ("2026-12-31 00:00:00.000000", MIDNIGHT),
        ("2026-12-31T00:00Z", MIDNIGHT),
        ("2026-12-31T02:00+02:00", MIDNIGHT),
    ],
)
def test_without_a_zone_it_is_utc(written, time):
    assert parse_time(written) == time


@given(st.integers(0, 9999), st.sampled_from([("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)]))
def test_a_duration_starts_now(number, unit):
    letter, seconds = unit
    length, before = timedelta(seconds=number * seconds), datetime.now(UTC)
    past, future = parse_time(f"{number}{letter}"), parse_time(f"{number}{letter}", future=True)
    after = datetime.now(UTC)
    assert before - length <= past <= after - length
    assert before + length <= future <= after + length


@given(st.text())
def test_any_other_text_is_refused_with_a_remedy(text):
    try:
        assert parse_time(text).tzinfo is UTC
    except ValueError as error:
        assert "write a date such as" in str(error)


@pytest.mark.parametrize("wrong", ["", "soon", "7", "-7d", "7D", "1000000d", "999999w", "٣d", "2026-13-01"])
def test_what_is_no_time(wrong):
    with pytest.raises(ValueError, match="write a date such as"):
        parse_time(wrong)
