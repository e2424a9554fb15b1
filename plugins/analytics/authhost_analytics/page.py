"""The report as one HTML page without references to other files. Its charts are embedded as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from authhost_analytics.charts import Series, bar_chart, line_chart
from authhost_analytics.report import EventCounts, Funnel, Report, format_duration, median_limit
from authhost_analytics.sketches import COHORT_STANDARD_ERROR, STANDARD_ERROR
from authhost_analytics.suppression import suppress_small_counts
from authhost_analytics.terminal import STEP_NAMES, percentage

MAX_SERIES = 6
"""Lines of a chart. The table below the chart shows all."""
LABEL_LENGTH = {"day": 10, "week": 10, "month": 7}
"""Characters of an ISO date that name a period."""
MAX_OPEN_ROWS = 12
"""A table with more rows is collapsed."""
environment = Environment(
    loader=PackageLoader("authhost_analytics"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Chart(NamedTuple):
    """A chart and its data, which the page also shows as a table for readers who cannot see the chart."""

    svg: Markup
    names: Sequence[str]
    series: Series


def chart(
    draw: Callable[[str, Sequence[str], Series], Markup], title: str, names: Sequence[str], series: Series
) -> Chart:
    """Draw a chart."""
    return Chart(draw(title, names, series), names, series)


def render_page(report: Report, *, site_name: str, made_at: datetime, smallest: int) -> str:
    """Return the HTML page. All counts, also those in charts, are rounded to multiples of ``smallest``."""

    def show_count(count: int) -> str:
        return f"< {smallest}" if count < smallest > 1 else f"{count:,}"

    def show_share(count: int, of: int) -> str:
        return percentage(count, of) if count and of else ""

    rounded = suppress_small_counts(report, smallest)
    span_names = [rounded.span.label(start) for start in rounded.span.starts]
    return environment.get_template("report.html.j2").render(
        report=rounded,
        site_name=site_name,
        made_at=made_at,
        smallest=smallest,
        show_count=show_count,
        show_share=show_share,
        format_duration=format_duration,
        grain=rounded.span.grain,
        median=median_limit(rounded.confirmation),
        step_names=STEP_NAMES,
        error=STANDARD_ERROR,
        cohort_error=COHORT_STANDARD_ERROR,
        max_open_rows=MAX_OPEN_ROWS,
        events_chart=chart(line_chart, "Events", span_names, _event_series(rounded.events)),
        user_charts={
            grain: chart(bar_chart, f"Unique users by {grain}", names, {"users": list(counts.values())})
            for grain, counts in rounded.people.items()
            if any(counts.values()) and (names := [start[: LABEL_LENGTH[grain]] for start in counts])
        },
        signup_chart=bar_chart("Signups", _step_names(rounded.signup), _funnel_series(rounded.signup)),
        social_chart=bar_chart("Social logins", _step_names(rounded.social), _funnel_series(rounded.social)),
        confirmation_chart=chart(
            bar_chart,
            "Time to confirm",
            [format_duration(seconds) for seconds in rounded.confirmation],
            {"users": list(rounded.confirmation.values())},
        ),
    )


def _event_series(events: list[EventCounts]) -> dict[str, list[int]]:
    return {
        ", ".join(value or "-" for value in each.labels.values()): each.counts for each in events[:MAX_SERIES]
    }


def _funnel_series(funnels: list[Funnel]) -> dict[str, list[int]]:
    return {each.name or "-": list(each.steps.values()) for each in funnels[:MAX_SERIES]}


def _step_names(funnels: list[Funnel]) -> list[str]:
    return [STEP_NAMES[name] for each in funnels[:1] for name in each.steps]
