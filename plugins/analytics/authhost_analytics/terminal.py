"""The report as tables for a terminal, printed by the console of the commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from authhost_hookspecs import Console

from authhost_analytics.report import Funnel, Report, cumulative, format_duration, median_limit
from authhost_analytics.sketches import STANDARD_ERROR
from authhost_analytics.suppression import round_count, suppress_small_counts

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*%#"
"""For an output whose encoding lacks the others."""
MAX_SPARKLINE = 28
"""Characters."""
WEEKS = 6
"""Rows, and weeks after the signup, of the cohort table: more do not fit 80 columns."""
STEP_NAMES = {
    "signed_up": "signed up",
    "sent": "sent",
    "confirmed": "confirmed",
    "logged_in": "logged in",
    "begun": "begun",
    "came_back": "came back",
    "new": "new account",
}
Row = dict[str, str]


def output_bars() -> str:
    """Return the bars that standard output can write."""
    try:
        BARS.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return ASCII_BARS
    return BARS


def sparkline(counts: Sequence[int], bars: str = BARS) -> str:
    """Return one bar per count, at most 28: longer series are shown by the averages of neighbours."""
    size = -(-len(counts) // MAX_SPARKLINE) if counts else 1
    groups = [counts[start : start + size] for start in range(0, len(counts), size)]
    heights = [sum(group) / len(group) for group in groups]
    highest = max(heights, default=0)
    return "".join(bars[round(height / highest * 7)] if highest else bars[0] for height in heights)


def print_report(console: Console, exact: Report, smallest: int = 1) -> None:
    """Print the tables that have rows, with counts rounded to multiples of ``smallest``."""
    report, bars = suppress_small_counts(exact, smallest), output_bars()
    console.print(f"{report.span.since} to {report.span.until}, in UTC")
    if smallest > 1:
        console.print(
            f"Counts are rounded to multiples of {smallest}. Counts below {smallest} are shown as 0."
        )
    if not report.events:
        console.print("no events" if smallest == 1 else f"no counts of {smallest} or more")
        return
    within = {limit: round_count(count, smallest) for limit, count in cumulative(exact.confirmation).items()}
    _print_table(
        console, f"events by {report.span.grain}", _events(report, bars), left=report.events[0].labels
    )
    error = f"standard error {STANDARD_ERROR:.2%}; a few hundred are counted exactly"
    _print_table(console, f"unique users ({error})", _unique_users(report, bars), left=["by"])
    _print_table(console, "signup", _funnels("method", report.signup), left=["method"])
    _print_table(console, "social login", _funnels("provider", report.social), left=["provider"])
    _print_table(console, "time to confirm the address", _confirmation_times(within), left=["within"])
    _print_table(console, "retention by weeks after the signup", _cohorts(report), left=["week of signup"])
    _print_table(console, "refusals", _refusal_rates(report), left=["flow"])


def _print_table(
    console: Console, title: str, rows: list[Row], left: Sequence[str] | Mapping[str, str]
) -> None:
    """Print a table with a title. Columns of numbers are padded: the console aligns cells to the left."""
    if not rows:
        return
    columns = [name for name in rows[0] if name not in left and name != ""]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    padded = [
        {name: cell.rjust(widths[name]) if name in widths else cell for name, cell in row.items()}
        for row in rows
    ]
    headers = {name: name.rjust(widths[name]) if name in widths else name for name in rows[0]}
    console.print()
    console.print(title)
    console.print_rows(padded, headers=headers)


def _events(report: Report, bars: str) -> list[Row]:
    return [
        {
            **{name: value or "-" for name, value in each.labels.items()},
            "total": f"{each.total:,}",
            "": sparkline(each.counts, bars),
        }
        for each in report.events
    ]


def _unique_users(report: Report, bars: str) -> list[Row]:
    return [
        {"by": grain, "last": f"{values[-1]:,}", "most": f"{max(values):,}", "": sparkline(values, bars)}
        for grain, counts in report.people.items()
        if any(values := list(counts.values()))
    ]


def _funnels(first: str, funnels: Sequence[Funnel]) -> list[Row]:
    return [
        {
            first: funnel.name or "-",
            **{
                STEP_NAMES[name]: f"{count:,} ({percentage(count, all_users)})" if index else f"{count:,}"
                for index, (name, count) in enumerate(funnel.steps.items())
            },
        }
        for funnel in funnels
        for all_users in [next(iter(funnel.steps.values()))]
    ]


def _confirmation_times(within: dict[int, int]) -> list[Row]:
    median, total = median_limit(within), max(within.values(), default=0)
    if not total:
        return []
    return [
        {
            "within": format_duration(seconds),
            "users": f"{count:,}",
            "share": percentage(count, total),
            "": "median" if seconds == median else "",
        }
        for seconds, count in within.items()
    ]


def _cohorts(report: Report) -> list[Row]:
    last = report.cohorts[-WEEKS:]
    weeks = min(max((len(cohort.active) for cohort in last), default=0), WEEKS)
    return [
        {
            "week of signup": cohort.week.isoformat(),
            "signed up": f"{cohort.signed_up:,}",
            **{
                f"+{week}": percentage(cohort.active[week], cohort.signed_up)
                if week < len(cohort.active)
                else ""
                for week in range(weeks)
            },
        }
        for cohort in last
    ]


def _refusal_rates(report: Report) -> list[Row]:
    return [
        {
            "flow": rate.flow,
            "succeeded": "-" if rate.succeeded is None else f"{rate.succeeded:,}",
            "refused": f"{rate.refused:,}",
            "share": "-" if rate.share is None else f"{rate.share:.1%}",
            "by a rate limit": "-" if rate.limited_share is None else f"{rate.limited_share:.1%}",
        }
        for rate in report.rates
    ]


def percentage(count: int, of: int) -> str:
    """Return a share in percent, at most 100: an estimated count can exceed the exact total."""
    return f"{min(count, of) / of:.0%}" if of else "-"
