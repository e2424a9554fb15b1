"""The headline figures: a period compared with the one before it."""

from __future__ import annotations

import re
from datetime import date

import pytest
from authhost_analytics.comparison import Value, compare, figures, read_comparison
from authhost_analytics.page import render_page
from authhost_analytics.queries import read_report
from authhost_analytics.spans import Span

from analytics.support import at, login, row, run_roll_up, signup, store

MARCH = Span(date(2026, 3, 1), date(2026, 3, 28))


@pytest.fixture
def host(make, clock):
    """60 users in February, 90 in March; a third confirms late, and more logins are refused."""
    host = make(analytics={"keep_days": 60}, site_name="Site")
    clock.now = at("2026-03-29 12:00")
    for who in range(150):
        month, day = (2, 1 + who % 28) if who < 60 else (3, 1 + who % 28)
        when = f"2026-{month:02}-{day:02}"
        store(
            host,
            signup(host, f"{when} 10:00", who),
            row(host, f"{when} 10:00", "email_confirmation_sent", who, flow="signup"),
            *([row(host, f"{when} 11:00", "email_confirmed", who)] if who < 60 or who % 3 else []),
            login(host, f"{when} 12:00", who, when),
            *([row(host, f"{when} 12:00", "flow_refused", flow="login", outcome="x")] if who >= 60 else []),
        )
    run_roll_up(host, everything=True)
    return host


def told(host, span=MARCH, smallest=5):
    return {
        each.label: (each.now.count, each.before.count, each.change and round(each.change, 2), each.verdict)
        for each in figures(read_comparison(host, span), smallest)
    }


def test_the_headlines(host):
    assert told(host) == {
        "New accounts": (90, 60, 0.5, "better"),
        "Active users in a week, on average": (25, 15, None, "unknown"),
        "Logins": (90, 60, 0.5, "better"),
        "Addresses confirmed after the signup": (60, 60, -0.33, "worse"),
        "Refused logins with a password": (90, None, None, "unknown"),
    }


def test_the_page_says_what_is_better_and_what_is_worse(host):
    text = render_page(
        read_report(host, MARCH),
        site_name="Site",
        made_at=host.now,
        smallest=5,
        comparison=read_comparison(host, MARCH),
    )
    cards = re.findall(r"<li>(<span>.*?)</li>", text.partition("What happened")[0], re.DOTALL)
    cards = [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", each)).strip() for each in cards]
    assert cards == [
        "New accounts 90 +50%: better Before: 60",
        "Active users in a week, on average 25 Too few to compare Before: 15",
        "Logins 90 +50%: better Before: 60",
        "Addresses confirmed after the signup 67% −33 percentage points: worse Before: 100%",
        "Refused logins with a password 50% Too few to compare Before: &lt; 5",
    ]
    assert "Mar 1, 2026 to Mar 28, 2026, compared with" in text
    assert "Feb 1, 2026 to Feb 28, 2026" in text


def test_the_running_day_is_not_compared(host, clock):
    clock.now = at("2026-03-28 12:00")
    compared = read_comparison(host, MARCH)
    assert compared.current.span == Span(date(2026, 3, 1), date(2026, 3, 27))
    assert compared.before.span == Span(date(2026, 2, 2), date(2026, 2, 28))


def test_a_report_of_today_has_nothing_to_compare(host, clock):
    clock.now = at("2026-03-28 12:00")
    assert read_comparison(host, Span(date(2026, 3, 28), date(2026, 3, 28))) is None
    assert read_comparison(host, Span(date(1, 1, 1), date(1, 1, 9))) is None


def test_a_short_period_compares_days(host):
    labels = [
        each.label for each in figures(read_comparison(host, Span(date(2026, 3, 5), date(2026, 3, 8))), 5)
    ]
    assert "Active users on a day, on average" in labels


@pytest.mark.parametrize(
    ("now", "before", "smallest", "change", "verdict"),
    [
        (100, 50, 5, 1.0, "better"),
        (50, 100, 5, -0.5, "worse"),
        (100, 95, 5, 0.0, "same"),  # the rounding alone can cause it
        (100, 95, 1, 0.0, "same"),  # chance can cause it
        (1000, 900, 5, 0.11, "better"),
        (20_000, 19_000, 5, 0.05, "better"),
        (20, 40, 5, -0.5, "worse"),
        (15, 40, 5, None, "unknown"),
        (40, 15, 5, None, "unknown"),
        (None, 40, 5, None, "unknown"),
        (19, 40, 1, None, "unknown"),
        (1000, 1001, 1, 0.0, "same"),
    ],
)
def test_a_change(now, before, smallest, change, verdict):
    figure = compare("x", Value(now), Value(before), smallest, more_is_better=True)
    assert figure.change == (change if change is None else pytest.approx(change, abs=0.01))
    assert figure.verdict == verdict


def test_less_can_be_better():
    figure = compare("x", Value(10, 100), Value(40, 100), 5, more_is_better=False)
    assert (figure.change, figure.verdict) == (pytest.approx(-0.3), "better")
    assert compare("x", Value(10, 100), Value(15, 100), 5, more_is_better=False).verdict == "same"
