"""The figures in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from authhost_analytics.figures import Figures, Funnel, median, spoken
from authhost_analytics.sketches import STANDARD_ERROR

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 40
WEEKS = 8
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
    """Small bars, no more than 40: one for neighbours is as high as they are on average."""
    each = -(-len(counts) // LONGEST) if counts else 1
    parts = [counts[start : start + each] for start in range(0, len(counts), each)]
    heights = [sum(part) / len(part) for part in parts]
    highest = max(heights, default=0)
    return "".join(BARS[round(height / highest * 7)] if highest else BARS[0] for height in heights)


def shown(figures: Figures, smallest: int = 1) -> RenderableType:
    """All tables that have something in them; ``smallest`` is what the numbers were rounded to."""
    return Group(*_tables(figures, smallest))


def _tables(figures: Figures, smallest: int) -> Iterator[RenderableType]:
    span = figures.span
    yield Text(f"{span.since} to {span.until}, in UTC", style="bold")
    if smallest > 1:
        yield Text(f"rounded to multiples of {smallest}; 0 is fewer than {smallest}, or none")
    if not figures.events:
        yield Text("nothing has happened" if smallest == 1 else "too little has happened to be shown")
        return
    yield _events(figures)
    yield _people(figures)
    if figures.signup:
        yield _funnels("signup", "method", figures.signup)
    if figures.social:
        yield _funnels("social login", "provider", figures.social)
    if any(figures.confirmation.values()):
        yield _confirmation(figures.confirmation)
    if figures.cohorts:
        yield _cohorts(figures)
    if figures.rates:
        yield _rates(figures)


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    return table


def _events(figures: Figures) -> Table:
    names = list(figures.events[0].labels)
    grain = figures.span.grain
    table = _table("events", *names, "total", f"by {grain}", left=len(names))
    table.columns[-1].justify = "left"
    for line in figures.events:
        labels = (Text(value or "-") for value in line.labels.values())
        table.add_row(*labels, f"{line.total:,}", sparkline(line.counts))
    return table


def _people(figures: Figures) -> Table:
    title = f"different people (give or take {STANDARD_ERROR:.1%}, few are counted exactly)"
    table = _table(title, "by", "last", "most", "")
    table.columns[-1].justify = "left"
    for grain, counts in figures.people.items():
        values = list(counts.values())
        if any(values):
            table.add_row(grain, f"{values[-1]:,}", f"{max(values):,}", sparkline(values))
    return table


def _funnels(title: str, first: str, funnels: Sequence[Funnel]) -> Table:
    table = _table(title, first, *(STEP_NAMES[name] for name in funnels[0].steps))
    for funnel in funnels:
        steps = list(funnel.steps.values())
        cells = [
            f"{count:,} ({share(count, steps[0])})" if index else f"{count:,}"
            for index, count in enumerate(steps)
        ]
        table.add_row(Text(funnel.name or "-"), *cells)
    return table


def _confirmation(classes: dict[int, int]) -> Table:
    middle, total = median(classes), sum(classes.values())
    table = _table("time to confirm the address", "within", "people", "share", "")
    table.columns[-1].justify = "left"
    highest = max(classes.values())
    for seconds, count in classes.items():
        note = "  half of them" if seconds == middle else ""
        bar = "█" * round(20 * count / highest)
        table.add_row(spoken(seconds), f"{count:,}", share(count, total), bar + note)
    return table


def _cohorts(figures: Figures) -> Table:
    last = figures.cohorts[-WEEKS:]
    weeks = max(len(cohort.came) for cohort in last)
    columns = ("week of signup", "signed up", *(f"+{number}" for number in range(min(weeks, WEEKS))))
    table = _table("who comes again, by weeks after the signup", *columns)
    for cohort in last:
        came = [share(count, cohort.signed_up) for count in cohort.came[:WEEKS]]
        table.add_row(cohort.week.isoformat(), f"{cohort.signed_up:,}", *came)
    return table


def _rates(figures: Figures) -> Table:
    table = _table("refusals", "flow", "succeeded", "refused", "share", "by a rate limit")
    for rate in figures.rates:
        succeeded = "-" if rate.succeeded is None else f"{rate.succeeded:,}"
        shares = ("-" if each is None else f"{each:.1%}" for each in (rate.share, rate.limited_share))
        table.add_row(rate.flow, succeeded, f"{rate.refused:,}", *shares)
    return table


def share(count: int, of: int) -> str:
    """A part in percent; a part that is estimated may come out larger than the whole."""
    return f"{min(count, of) / of:.0%}" if of else "-"
