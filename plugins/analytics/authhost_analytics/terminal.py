"""The report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from authhost_analytics.report import Funnel, Report, format_duration, median_limit
from authhost_analytics.sketches import STANDARD_ERROR

BARS = "▁▂▃▄▅▆▇█"
MAX_SPARKLINE = 40
"""Characters."""
WEEKS = 8
"""Columns and rows of the cohort table."""
STEP_NAMES = {
    "signed_up": "signed up",
    "sent": "confirmation sent",
    "confirmed": "confirmed",
    "logged_in": "logged in",
    "begun": "begun",
    "came_back": "came back",
    "new": "new account",
}


def sparkline(counts: Sequence[int]) -> str:
    """Return one bar per count, at most 40: longer series are shown by the averages of neighbours."""
    size = -(-len(counts) // MAX_SPARKLINE) if counts else 1
    groups = [counts[start : start + size] for start in range(0, len(counts), size)]
    heights = [sum(group) / len(group) for group in groups]
    highest = max(heights, default=0)
    return "".join(BARS[round(height / highest * 7)] if highest else BARS[0] for height in heights)


def render(report: Report, smallest: int = 1) -> RenderableType:
    """Return the tables that have rows. ``smallest`` is the ``smallest_count`` used for rounding."""
    return Group(*_tables(report, smallest))


def _tables(report: Report, smallest: int) -> Iterator[RenderableType]:
    span = report.span
    yield Text(f"{span.since} to {span.until}, in UTC", style="bold")
    if smallest > 1:
        yield Text(f"Counts are rounded to multiples of {smallest}. Counts below {smallest} are shown as 0.")
    if not report.events:
        yield Text("no events" if smallest == 1 else f"no counts of {smallest} or more")
        return
    yield _events(report)
    yield _unique_users(report)
    if report.signup:
        yield _funnels("signup", "method", report.signup)
    if report.social:
        yield _funnels("social login", "provider", report.social)
    if any(report.confirmation.values()):
        yield _confirmation_times(report.confirmation)
    if report.cohorts:
        yield _cohorts(report)
    if report.rates:
        yield _refusal_rates(report)


def _table(title: str, *columns: str, left: int = 1) -> Table:
    """Return an empty table whose first ``left`` columns are aligned to the left."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    return table


def _events(report: Report) -> Table:
    names = list(report.events[0].labels)
    grain = report.span.grain
    table = _table("events", *names, "total", f"by {grain}", left=len(names))
    table.columns[-1].justify = "left"
    for each in report.events:
        labels = (Text(value or "-") for value in each.labels.values())
        table.add_row(*labels, f"{each.total:,}", sparkline(each.counts))
    return table


def _unique_users(report: Report) -> Table:
    title = f"unique users (standard error {STANDARD_ERROR:.2%}; a few hundred are counted exactly)"
    table = _table(title, "by", "last", "most", "")
    table.columns[-1].justify = "left"
    for grain, counts in report.people.items():
        values = list(counts.values())
        if any(values):
            table.add_row(grain, f"{values[-1]:,}", f"{max(values):,}", sparkline(values))
    return table


def _funnels(title: str, first: str, funnels: Sequence[Funnel]) -> Table:
    table = _table(title, first, *(STEP_NAMES[name] for name in funnels[0].steps))
    for funnel in funnels:
        steps = list(funnel.steps.values())
        cells = [
            f"{count:,} ({percentage(count, steps[0])})" if index else f"{count:,}"
            for index, count in enumerate(steps)
        ]
        table.add_row(Text(funnel.name or "-"), *cells)
    return table


def _confirmation_times(counts: dict[int, int]) -> Table:
    median, total = median_limit(counts), sum(counts.values())
    table = _table("time to confirm the address", "within", "users", "share", "")
    table.columns[-1].justify = "left"
    highest = max(counts.values())
    for seconds, count in counts.items():
        note = "  median" if seconds == median else ""
        bar = "█" * round(20 * count / highest)
        table.add_row(format_duration(seconds), f"{count:,}", percentage(count, total), bar + note)
    return table


def _cohorts(report: Report) -> Table:
    last = report.cohorts[-WEEKS:]
    weeks = max(len(cohort.active) for cohort in last)
    columns = ("week of signup", "signed up", *(f"+{number}" for number in range(min(weeks, WEEKS))))
    table = _table("retention by weeks after the signup", *columns)
    for cohort in last:
        active = [percentage(count, cohort.signed_up) for count in cohort.active[:WEEKS]]
        table.add_row(cohort.week.isoformat(), f"{cohort.signed_up:,}", *active)
    return table


def _refusal_rates(report: Report) -> Table:
    table = _table("refusals", "flow", "succeeded", "refused", "share", "by a rate limit")
    for rate in report.rates:
        succeeded = "-" if rate.succeeded is None else f"{rate.succeeded:,}"
        shares = ("-" if each is None else f"{each:.1%}" for each in (rate.share, rate.limited_share))
        table.add_row(rate.flow, succeeded, f"{rate.refused:,}", *shares)
    return table


def percentage(count: int, of: int) -> str:
    """Return a share in percent, at most 100: an estimated count can exceed the exact total."""
    return f"{min(count, of) / of:.0%}" if of else "-"
