"""How the periods of a chart are drawn."""

from __future__ import annotations

from datetime import date

import pytest
from authhost_analytics.charts import Run, bar_chart, scale_limit, time_axis
from authhost_analytics.funnel_views import mean_retention
from authhost_analytics.languages import language
from authhost_analytics.periods import number
from authhost_analytics.report import Cohort
from authhost_analytics.spans import Span
from hypothesis import given, strategies as st

from analytics.support import at

ENGLISH = language("en")


def axis_of(since, until, grain, now, **options):
    span = Span(date.fromisoformat(since), date.fromisoformat(until), grain)
    return time_axis(span, ENGLISH, at(now), **options)


def test_the_axis_begins_at_the_first_day_of_the_report():
    axis = axis_of("2025-01-01", "2025-12-31", "week", "2026-06-01")
    assert (axis.names[0], axis.ticks) == ("Jan 1, 2025", ["Jan 1", "Jun 30", "Dec 29"])
    assert axis.incomplete == {0, 52}
    assert axis_of("2025-01-01", "2025-12-31", "week", "2026-06-01", clipped=False).incomplete == set()


@pytest.mark.parametrize(
    ("grain", "incomplete", "future"),
    [("day", {8}, {9, 10}), ("week", {0, 1}, set()), ("month", {0}, set()), ("hour", {204}, None)],
)
def test_the_running_period_is_incomplete(grain, incomplete, future):
    axis = axis_of("2026-04-01", "2026-04-11", grain, "2026-04-09 12:30")
    assert axis.incomplete == incomplete
    assert axis.future == (set(range(205, 264)) if future is None else future)


def test_small_counts_are_unknown_and_days_to_come_are_empty():
    axis = axis_of("2026-04-01", "2026-04-06", "day", "2026-04-05")
    chart = bar_chart(
        "x", axis, [10, 0, 0, 20, 5, 0], smallest=5, texts=["10", "< 5", "< 5", "20", "5", "< 5"]
    )
    assert chart.unknown == [Run(16.667, 33.333)]
    assert chart.cells == ["10", "< 5", "< 5", "20", "5", "–"]
    assert chart.states == {"complete", "incomplete", "unknown", "future"}
    assert (chart.done.count("M"), chart.running.count("M"), chart.limit) == (2, 1, 20)
    assert chart.tooltips[0] == "Apr 1, 2026: 10"
    exact = bar_chart("x", axis, [10, 0, 0, 20, 5, 0], smallest=1, texts=[""] * 6)
    assert exact.unknown == []


def test_a_chart_without_a_known_count_has_no_scale():
    axis = axis_of("2026-04-01", "2026-04-02", "day", "2026-05-05")
    assert bar_chart("x", axis, [0, 0], smallest=5, texts=["", ""]).limit is None


@given(st.integers(0, 10**9))
def test_a_scale_ends_at_a_round_number(highest):
    limit = scale_limit(highest)
    assert highest <= limit <= max(1, 2 * highest)


def test_the_mean_retention_leaves_out_running_weeks_and_few_users():
    cohorts = [
        Cohort(date(2026, 3, 2), 100, [100, 50, 20]),
        Cohort(date(2026, 3, 9), 100, [100, 30]),
        Cohort(date(2026, 3, 16), 10, [5]),
    ]
    span = Span(date(2026, 3, 1), date(2026, 3, 22))
    assert mean_retention(cohorts, span, number(date(2026, 4, 1)), 5) == [205 / 210, 0.4, 0.2]
    assert mean_retention(cohorts, span, number(date(2026, 3, 18)), 5) == [1.0, 0.5]
    few = [Cohort(date(2026, 3, 2), 15, [15, 5])]
    assert mean_retention(few, span, number(date(2026, 4, 1)), 5) == []
    unknown = [Cohort(date(2026, 3, 2), 100, [100, 50]), Cohort(date(2026, 3, 9), 100, [100, 0])]
    assert mean_retention(unknown, span, number(date(2026, 4, 1)), 5) == [1.0]
    assert mean_retention(unknown, span, number(date(2026, 4, 1)), 1) == [1.0, 0.25]
