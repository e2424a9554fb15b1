"""The signup funnel, and the time to confirm."""

from __future__ import annotations

import pytest
from authhost_analytics.funnels import LONGER
from authhost_analytics.report import cumulative, format_duration, median_limit
from authhost_analytics.tables import journey_table
from conftest import PASSWORD

from analytics.support import ANN, at, count, document, login, row, run_roll_up, signup, store


def confirmed(host, time, who):
    return row(host, time, "email_confirmed", who)


def steps(host, **span):
    return document(host, **span)["signup"].get("password")


def times(host):
    classes = document(host)["time_to_confirm"]
    return {each["within_seconds"]: each["count"] for each in classes if each["count"]}


def test_a_signup_by_its_flows(make, run, recorder, clock):
    host = make(email_verification="mandatory")
    token = run(host, "signup", email=ANN, password=PASSWORD).pending_token
    clock.forward(minutes=4)
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "login", identifier=ANN, password=PASSWORD)
    run_roll_up(host)
    assert steps(host) == {"signed_up": 1, "sent": 1, "confirmed": 1, "logged_in": 1}
    assert times(host) == {300: 1}


def test_a_step_in_the_next_month_counts_for_the_day_of_the_signup(host, clock):
    store(
        host,
        signup(host, "2026-01-31 23:50", 1),
        confirmed(host, "2026-02-01 00:10", 1),
        login(host, "2026-02-28 12:00", 1, "2026-01-31"),
    )
    clock.now = at("2026-03-01")
    run_roll_up(host)
    assert steps(host) == {"signed_up": 1, "sent": 0, "confirmed": 1, "logged_in": 1}
    assert steps(host, since="2026-02-01") is None
    assert times(host) == {3600: 1}


def test_a_step_two_months_later_is_not_followed(host, clock):
    clock.now = at("2026-01-31")
    store(host, signup(host, "2026-01-30", 1))
    run_roll_up(host)
    clock.now = at("2026-03-02")
    store(host, confirmed(host, "2026-03-01 12:00", 1), login(host, "2026-03-01 12:00", 1, "2026-01-30"))
    run_roll_up(host)
    assert steps(host) == {"signed_up": 1, "sent": 0, "confirmed": 0, "logged_in": 0}
    clock.now = at("2026-04-02")
    run_roll_up(host)
    assert count(host, journey_table) == 0


def test_the_earliest_time_of_a_step_counts_in_any_order(host, clock):
    clock.now = at("2026-01-03")
    store(host, confirmed(host, "2026-01-02 12:00", 1), signup(host, "2026-01-01 12:00", 1))
    run_roll_up(host)
    assert times(host) == {86400: 1}
    store(host, confirmed(host, "2026-01-01 12:00:59", 1))
    run_roll_up(host)
    assert times(host) == {60: 1}
    store(host, confirmed(host, "2026-01-02 20:00", 1))
    run_roll_up(host)
    assert times(host) == {60: 1}


@pytest.mark.parametrize(
    ("lasted", "within"),
    [
        ("12:00:00", 60),
        ("12:01:00", 60),
        ("12:01:01", 300),
        ("12:15:00", 900),
        ("13:00:00", 3600),
        ("13:00:01", 21600),
    ],
)
def test_a_duration_equal_to_a_limit_is_within_it(host, clock, lasted, within):
    clock.now = at("2026-01-03")
    store(host, signup(host, "2026-01-01 12:00", 1), confirmed(host, f"2026-01-01 {lasted}", 1))
    run_roll_up(host)
    assert times(host) == {within: 1}


def test_longer_than_a_week(host, clock):
    clock.now = at("2026-01-20")
    store(host, signup(host, "2026-01-01", 1), confirmed(host, "2026-01-08 00:00:01", 1))
    run_roll_up(host)
    assert times(host) == {None: 1}


def test_the_confirmation_of_another_address_is_not_a_step_of_the_signup(host, clock):
    clock.now = at("2026-01-02")
    store(
        host,
        signup(host, "2026-01-01", 1),
        row(host, "2026-01-01 01:00", "email_confirmation_sent", 1),
    )
    run_roll_up(host)
    assert steps(host) == {"signed_up": 1, "sent": 0, "confirmed": 0, "logged_in": 0}


def test_the_funnel_of_a_provider(host, clock):
    clock.now = at("2026-01-02")
    there = {"flow": "login", "provider": "corp"}
    store(
        host,
        *(row(host, "2026-01-01", "social_login_begun", **there) for _ in range(3)),
        row(host, "2026-01-01", "pre_social_login", **there),
        row(host, "2026-01-01", "pre_social_login", 1, **there),
        row(host, "2026-01-01", "pre_social_login", 1, flow="connect", provider="corp"),
        row(host, "2026-01-01", "user_signed_up", 2, "2026-01-01", provider="corp", method="socialaccount"),
    )
    run_roll_up(host)
    assert document(host)["social"] == {"corp": {"begun": 3, "came_back": 2, "new": 1}}


def test_the_counts_within_each_limit():
    assert cumulative({60: 475, 300: 400, LONGER: 0}) == {60: 475, 300: 875, LONGER: 875}


def test_the_median():
    assert median_limit({}) is None
    assert median_limit({60: 0, LONGER: 0}) is None
    assert median_limit({60: 1, 300: 1, 900: 2}) == 60
    assert median_limit({60: 1, 300: 1, 900: 3}) == 900
    assert median_limit({60: 0, LONGER: 1}) == LONGER
    assert [format_duration(each) for each in (60, 300, 3600, 86400, LONGER, 30)] == [
        "1 min",
        "5 min",
        "1 h",
        "1 d",
        "any time",
        "30 s",
    ]
