"""Exports as CSV, JSON Lines and Prometheus metrics."""

from __future__ import annotations

import csv
import io
import json
from datetime import date

import pytest
from authhost_analytics.exporting import COLUMNS, as_csv, as_json, registry, rows
from authhost_analytics.spans import Span
from hypothesis import given, strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from analytics.support import at, login, row, run_roll_up, settings_of, signup, store


@pytest.fixture
def host(make, clock):
    host = make()
    clock.now = at("2026-01-07 12:00")
    for who in range(10):
        store(
            host,
            signup(host, f"2026-01-0{1 + who // 5} 10:00", who),
            login(host, "2026-01-07 11:00", who, "2026-01-01"),
        )
    run_roll_up(host)
    return host


def exported(host, grain, since="2026-01-01", until="2026-01-31"):
    span = Span(date.fromisoformat(since), date.fromisoformat(until), grain)
    return [
        (each["period"], each["event"], each["count"])
        for each in rows(host, settings_of(host), span)
        if each["event"] == "user_signed_up"
    ]


def test_by_period(host):
    signed_up = "user_signed_up"
    assert exported(host, "hour") == [("2026-01-01 10:00", signed_up, 5), ("2026-01-02 10:00", signed_up, 5)]
    assert exported(host, "day") == [("2026-01-01", signed_up, 5), ("2026-01-02", signed_up, 5)]
    assert exported(host, "week") == [("2025-12-29", signed_up, 10)]
    assert exported(host, "month") == [("2026-01", signed_up, 10)]
    assert exported(host, "day", since="2026-01-02", until="2026-01-02") == [("2026-01-02", signed_up, 5)]
    assert exported(host, "day", since="2025-01-02", until="2025-01-02") == []


@given(st.tuples(*[st.text(max_size=9)] * len(COLUMNS)))
def test_a_line_is_read_back(texts):
    values = dict(zip(COLUMNS, texts, strict=True))
    assert json.loads(as_json(values)) == values
    assert "\n" not in as_json(values)
    [read] = csv.reader(io.StringIO(as_csv(values), newline=""))
    assert read == [values[name] for name in COLUMNS]


def samples(host):
    text = generate_latest(registry(host, settings_of(host))).decode()
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()) if value)): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_prometheus_reads_it(host):
    assert samples(host) == {
        ("authhost_events_total", "user_logged_in", "password", "success"): 10,
        ("authhost_events_total", "user_signed_up", "password", "success"): 10,
        ("authhost_people", "day"): 10,
        ("authhost_people", "week"): 10,
        ("authhost_people", "month"): 10,
    }


def test_a_day_without_users_is_zero(host, clock):
    clock.forward(days=60)
    found = samples(host)
    assert [found["authhost_people", period] for period in ("day", "week", "month")] == [0, 0, 0]
    assert found["authhost_events_total", "user_signed_up", "password", "success"] == 10


def test_an_empty_database(make):
    host = make()
    assert samples(host) == {("authhost_people", period): 0 for period in ("day", "week", "month")}
    assert exported(host, "day") == []


def test_a_label_is_escaped(host):
    store(host, *[row(host, "2026-01-07 10:00", "pre_social_login", provider='a"b\\c\n')] * 5)
    run_roll_up(host)
    assert samples(host)["authhost_events_total", "pre_social_login", "success", 'a"b\\c\n'] == 5
