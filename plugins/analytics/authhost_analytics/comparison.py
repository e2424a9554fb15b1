"""The headline figures: a period compared with the one before it, from rounded counts only.

Nothing here reads an exact count. A comparison therefore reveals no more than the two rounded counts do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from authhost_hookspecs import Host

from authhost_analytics.languages import N_
from authhost_analytics.periods import as_date
from authhost_analytics.queries import read_report
from authhost_analytics.report import Report
from authhost_analytics.spans import Span
from authhost_analytics.suppression import suppress_small_counts

SMALLEST_BASE = 20
"""Smaller counts are not compared: one user more would be a change of many percent."""
MIN_MULTIPLE = 4
"""A compared count is at least this multiple of ``smallest_count``."""
DEVIATIONS = 2
"""A difference of fewer standard deviations counts as chance."""
WEEK = 7
Verdict = Literal["better", "worse", "same", "unknown"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reports of two periods of the same length, both complete."""

    current: Report
    before: Report


@dataclass(frozen=True, slots=True)
class Value:
    """A count, or a share of ``of``. ``count`` is None if it is too small to be shown."""

    count: int | None
    of: int | None = None

    @property
    def share(self) -> float | None:
        """The share, from 0 to 1."""
        return None if self.count is None or not self.of else min(1.0, self.count / self.of)


@dataclass(frozen=True, slots=True)
class Figure:
    """One headline figure, now and before.

    ``change`` is a part of the earlier count, or a difference of two shares. None if it is not shown.
    """

    label: str
    now: Value
    before: Value
    change: float | None
    verdict: Verdict


def read_comparison(host: Host, span: Span) -> Comparison | None:
    """Return the complete days of a span and the same number of days before; None without complete days."""
    until = min(span.until, host.now.date() - timedelta(days=1))
    days = (until - span.since).days + 1
    if days < 1 or span.since.toordinal() - days < 1:
        return None
    before = Span(span.since - timedelta(days=days), span.since - timedelta(days=1))
    return Comparison(read_report(host, Span(span.since, until)), read_report(host, before))


def figures(comparison: Comparison, smallest: int) -> Iterator[Figure]:
    """Yield the headline figures. Both reports are exact; they are rounded first."""
    now = suppress_small_counts(comparison.current, smallest)
    before = suppress_small_counts(comparison.before, smallest)

    def figure(label: str, read: Callable[[Report], Value], *, more_is_better: bool = True) -> Figure:
        return compare(label, read(now), read(before), smallest, more_is_better=more_is_better)

    def event(name: str) -> Callable[[Report], Value]:
        return lambda report: Value(_known(_total(report, name), smallest))

    weekly = bool(_whole_weeks(now.span)) and bool(_whole_weeks(before.span))
    active = N_("Active users in a week, on average") if weekly else N_("Active users on a day, on average")
    yield figure(N_("New accounts"), event("user_signed_up"))
    yield figure(active, lambda report: Value(_average_users(report, smallest, weekly=weekly)))
    yield figure(N_("Logins"), event("user_logged_in"))
    yield figure(N_("Addresses confirmed after the signup"), lambda report: _confirmed(report, smallest))
    yield figure(
        N_("Refused logins with a password"), lambda report: _refused(report, smallest), more_is_better=False
    )


def compare(label: str, now: Value, before: Value, smallest: int, *, more_is_better: bool) -> Figure:
    """Compare two rounded values.

    A difference that the rounding can cause, or chance, counts as none. The numbers of events in two equal
    periods differ by chance with a standard deviation of the root of their sum (Poisson distribution).
    """
    base = max(SMALLEST_BASE, MIN_MULTIPLE * smallest)
    change: float | None = None
    bases = [each.count if each.of is None else each.of for each in (now, before)]
    if now.count is not None and before.count is not None and all(each and each >= base for each in bases):
        if now.share is not None and before.share is not None:
            change = now.share - before.share
            spread, size = _spread_of_shares(now, before), min(each for each in bases if each)
        else:
            change = (now.count - before.count) / before.count
            spread, size = math.sqrt(now.count + before.count) / before.count, before.count
        rounding = smallest / size if smallest > 1 else 0.0
        if abs(change) <= max(rounding, DEVIATIONS * spread) or not round(change, 2):
            change = 0.0
    verdict: Verdict = "unknown"
    if change is not None:
        verdict = "same" if not change else "better" if (change > 0) == more_is_better else "worse"
    return Figure(label, now, before, change, verdict)


def _spread_of_shares(now: Value, before: Value) -> float:
    """Return the standard deviation of the difference of two equal shares (binomial distribution)."""
    sizes = now.of or 0, before.of or 0
    share = min(1.0, ((now.count or 0) + (before.count or 0)) / sum(sizes))
    return math.sqrt(share * (1 - share) * sum(1 / size for size in sizes))


def _known(count: int, smallest: int) -> int | None:
    return None if count == 0 and smallest > 1 else count


def _total(report: Report, event: str) -> int:
    return sum(each.total for each in report.events if each.labels["event"] == event)


def _whole_weeks(span: Span) -> list[date]:
    """Return the Mondays of the weeks that lie in the span as a whole."""
    starts = [as_date(start) for start in replace(span, grain="week").starts]
    return [day for day in starts if day >= span.since and day + timedelta(days=WEEK - 1) <= span.until]


def _average_users(report: Report, smallest: int, *, weekly: bool) -> int | None:
    """Return the mean of the rounded numbers of users, rounded too; None if one of them is unknown."""
    if weekly:
        counts = [report.people["week"].get(day.isoformat(), 0) for day in _whole_weeks(report.span)]
    else:
        counts = list(report.people["day"].values())
    if smallest > 1 and not all(counts):
        return None
    mean = sum(counts) / len(counts)
    return round(mean / smallest) * smallest


def _confirmed(report: Report, smallest: int) -> Value:
    sent = [each.steps for each in report.signup if each.steps["sent"]]
    count = sum(steps["confirmed"] for steps in sent)
    return Value(_known(count, smallest), sum(steps["sent"] for steps in sent))


def _refused(report: Report, smallest: int) -> Value:
    rates = [each for each in report.rates if each.flow == "login"]
    if not rates:
        return Value(_known(0, smallest), 0)
    return Value(_known(rates[0].refused, smallest), rates[0].attempts)
