"""The figures as one page of HTML that needs nothing else: its charts are in it, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from authhost_analytics.charts import Series, bars, lines
from authhost_analytics.discretion import discreet
from authhost_analytics.figures import Figures, Funnel, Line, median, spoken
from authhost_analytics.report import STEP_NAMES, share
from authhost_analytics.sketches import COHORT_STANDARD_ERROR, STANDARD_ERROR

SERIES = 6
"""Lines of a chart; the rest are in the table."""
LENGTH = {"day": 10, "week": 10, "month": 7}
"""How much of a date names a period."""
FEW = 12
"""So many numbers are shown at once; more are folded."""
environment = Environment(
    loader=PackageLoader("authhost_analytics"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Chart(NamedTuple):
    """A chart, with what it is made of: that is a table for who cannot see it."""

    drawn: Markup
    names: Sequence[str]
    series: Series


def chart(
    draw: Callable[[str, Sequence[str], Series], Markup], title: str, names: Sequence[str], series: Series
) -> Chart:
    """Have it drawn."""
    return Chart(draw(title, names, series), names, series)


def page(found: Figures, *, site_name: str, made_at: datetime, smallest: int) -> str:
    """The whole page. Its numbers are rounded to multiples of ``smallest``, those in charts, too."""

    def few(count: int) -> str:
        return f"< {smallest}" if count < smallest > 1 else f"{count:,}"

    def part(count: int, of: int) -> str:
        return share(count, of) if count and of else ""

    figures = discreet(found, smallest)
    span_names = [figures.span.named(start) for start in figures.span.starts]
    return environment.get_template("report.html.j2").render(
        figures=figures,
        site_name=site_name,
        made_at=made_at,
        smallest=smallest,
        few=few,
        part=part,
        spoken=spoken,
        grain=figures.span.grain,
        middle=median(figures.confirmation),
        step_names=STEP_NAMES,
        error=STANDARD_ERROR,
        cohort_error=COHORT_STANDARD_ERROR,
        many=FEW,
        events_chart=chart(lines, "Events", span_names, _of_kinds(figures.events)),
        people_charts={
            grain: chart(bars, f"People by {grain}", names, {"people": list(counts.values())})
            for grain, counts in figures.people.items()
            if any(counts.values()) and (names := [start[: LENGTH[grain]] for start in counts])
        },
        signup_chart=bars("Signups", _steps(figures.signup), _of_steps(figures.signup)),
        social_chart=bars("Social logins", _steps(figures.social), _of_steps(figures.social)),
        confirmation_chart=chart(
            bars,
            "Time to confirm",
            [spoken(seconds) for seconds in figures.confirmation],
            {"people": list(figures.confirmation.values())},
        ),
    )


def _of_kinds(found: list[Line]) -> dict[str, list[int]]:
    return {", ".join(value or "-" for value in line.labels.values()): line.counts for line in found[:SERIES]}


def _of_steps(found: list[Funnel]) -> dict[str, list[int]]:
    return {each.name or "-": list(each.steps.values()) for each in found[:SERIES]}


def _steps(found: list[Funnel]) -> list[str]:
    return [STEP_NAMES[name] for each in found[:1] for name in each.steps]
