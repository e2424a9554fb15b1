"""The figures as one page of HTML that needs nothing else: its charts are in it, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pygal
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygal.style import Style

from authhost_analytics.discretion import discreet
from authhost_analytics.figures import Figures, Funnel, Line, median, spoken
from authhost_analytics.report import STEP_NAMES, share
from authhost_analytics.sketches import COHORT_STANDARD_ERROR, STANDARD_ERROR

SERIES = 6
"""Lines of a chart; the rest are in the table."""
COLORS = ("#2f6fdb", "#d9622b", "#2b9a66", "#a04fc4", "#c2950c", "#c23b58")
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="currentColor",
    foreground_strong="currentColor",
    foreground_subtle="currentColor",
    opacity=".75",
    opacity_hover="1",
    transition="0s",
    font_family="system-ui, sans-serif",
    label_font_size=12,
    major_label_font_size=12,
    legend_font_size=13,
    colors=COLORS,
)
environment = Environment(
    loader=PackageLoader("authhost_analytics"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def page(found: Figures, *, site_name: str, made_at: datetime, smallest: int) -> str:
    """The whole page. Its numbers are rounded to multiples of ``smallest``, those in charts, too."""

    def few(count: int) -> str:
        return f"< {smallest}" if count < smallest > 1 else f"{count:,}"

    def part(count: int, of: int) -> str:
        return share(count, of) if count and of else ""

    figures = discreet(found, smallest)
    span = figures.span
    return environment.get_template("report.html.j2").render(
        figures=figures,
        site_name=site_name,
        made_at=made_at,
        smallest=smallest,
        few=few,
        part=part,
        spoken=spoken,
        middle=median(figures.confirmation),
        step_names=STEP_NAMES,
        error=STANDARD_ERROR,
        cohort_error=COHORT_STANDARD_ERROR,
        events_chart=_lines([span.named(start) for start in span.starts], figures.events[:SERIES]),
        people_charts={
            grain: _bars(list(counts), {"people": list(counts.values())})
            for grain, counts in figures.people.items()
            if any(counts.values())
        },
        signup_chart=_funnels(figures.signup),
        social_chart=_funnels(figures.social),
        confirmation_chart=_bars(
            [spoken(seconds) for seconds in figures.confirmation],
            {"people": list(figures.confirmation.values())},
        ),
    )


def _lines(names: Sequence[str], lines: Sequence[Line]) -> Markup:
    chart = pygal.Line(**_look(names), show_dots=len(names) < 40)
    for line in lines:
        chart.add(", ".join(value or "-" for value in line.labels.values()), line.counts)
    return _drawn(chart)


def _bars(names: Sequence[str], series: dict[str, list[int]]) -> Markup:
    chart = pygal.Bar(**_look(names), show_legend=len(series) > 1)
    for name, counts in series.items():
        chart.add(name, counts)
    return _drawn(chart)


def _funnels(funnels: Sequence[Funnel]) -> Markup:
    if not funnels:
        return Markup("")
    steps = [STEP_NAMES[name] for name in funnels[0].steps]
    return _bars(steps, {each.name or "-": list(each.steps.values()) for each in funnels[:SERIES]})


def _look(names: Sequence[str]) -> dict[str, Any]:
    every = max(1, len(names) // 12)
    return {
        "style": STYLE,
        "x_labels": names,
        "x_labels_major": names[::every],
        "show_minor_x_labels": len(names) <= 12,
        "x_label_rotation": 30 if len(names) > 6 else 0,
        "width": 900,
        "height": 320,
        "margin": 8,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "js": [],
        "disable_xml_declaration": True,
        "min_scale": 3,
        "range": None,
        "zero": 0,
        "include_x_axis": True,
        "value_formatter": lambda count: f"{count:,.0f}",
        "explicit_size": False,
    }


def _drawn(chart: Any) -> Markup:
    """Its own SVG: pygal escapes what is in it."""
    return Markup(chart.render(is_unicode=True))  # noqa: S704
