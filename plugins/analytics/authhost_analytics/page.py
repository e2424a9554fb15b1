"""The report as one HTML page without scripts and references to other files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from authhost_analytics.charts import Axis, Chart, bar_chart, time_axis
from authhost_analytics.comparison import Comparison, Value, figures
from authhost_analytics.funnel_views import FunnelView, funnel_view, mean_retention
from authhost_analytics.funnels import LONGER
from authhost_analytics.labels import DIMENSIONS, METHODS, STEPS, label
from authhost_analytics.languages import N_, SOURCE_LANGUAGE, Language, language
from authhost_analytics.periods import day_of
from authhost_analytics.report import EventCounts, Funnel, Report, cumulative, format_duration, median_limit
from authhost_analytics.sketches import COHORT_STANDARD_ERROR, STANDARD_ERROR
from authhost_analytics.spans import Grain, Span
from authhost_analytics.suppression import round_count, suppress_small_counts

MAX_CHARTS = 6
"""Charts of events, and funnels, that are drawn. The table below them shows all."""
MAX_OPEN_ROWS = 12
"""A table with more rows is collapsed."""
GRAINS = {"hour": N_("By hour"), "day": N_("By day"), "week": N_("By week"), "month": N_("By month")}
UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day"}
environment = Environment(
    loader=PackageLoader("authhost_analytics"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes counts and shares for readers: ``smallest`` is the ``smallest_count`` of the rounding."""

    language: Language
    smallest: int

    def count(self, count: int | None) -> str:
        """Return a rounded count, ``< 5`` for a count that is too small."""
        if count is None or count < self.smallest > 1:
            return self.language.isolate(f"< {self.smallest}")
        return self.language.number(count)

    def share(self, share: float | None) -> str:
        """Return a share in percent, and nothing for an unknown one."""
        return "" if share is None else self.language.percent(share)

    def share_of(self, count: int, of: int | None) -> str:
        """Return the share of a count; nothing if one of them is too small or unknown."""
        return self.share(min(count, of) / of) if count and of else ""

    def value(self, value: Value) -> str:
        """Return a headline's count or share."""
        if value.of == 0:
            return "–"
        return self.count(value.count) if value.share is None else self.share(value.share)

    def change(self, change: float, *, points: bool) -> str:
        """Return the change of a headline figure with its sign. Shares differ by ``points``."""
        sign = "+" if change > 0 else "−"
        if not points:
            return self.language.isolate(sign + self.language.percent(abs(change)))
        number = self.language.isolate(f"{sign}{self.language.number(round(abs(change) * 100))}")
        return self.language.gettext("%(points)s percentage points", points=number)

    def duration(self, seconds: int) -> str:
        """Return a limit of the time to confirm, except `LONGER`."""
        number, _, unit = format_duration(seconds).partition(" ")
        return self.language.duration(int(number), UNITS[unit])


def render_page(
    report: Report,
    *,
    site_name: str,
    made_at: datetime,
    smallest: int,
    language_tag: str = SOURCE_LANGUAGE,
    comparison: Comparison | None = None,
) -> str:
    """Return the HTML page. All counts, also those in charts, are rounded to multiples of ``smallest``.

    ``language_tag`` is one of `LANGUAGES`. Without ``comparison`` there are no headline figures.
    """
    spoken = language(language_tag)
    writer = Writer(spoken, smallest)
    rounded = suppress_small_counts(report, smallest)
    within = {limit: round_count(count, smallest) for limit, count in cumulative(report.confirmation).items()}
    axis = time_axis(rounded.span, spoken, made_at)
    return environment.get_template("report.html.j2").render(
        _=spoken.gettext,
        language=spoken,
        writer=writer,
        report=rounded,
        site_name=site_name,
        made_at=made_at,
        smallest=smallest,
        grains=GRAINS,
        dimensions=DIMENSIONS,
        steps=STEPS,
        errors=(spoken.percent(STANDARD_ERROR, 2), spoken.percent(COHORT_STANDARD_ERROR, 1)),
        max_charts=MAX_CHARTS,
        max_open_rows=MAX_OPEN_ROWS,
        label=lambda dimension, value: label(dimension, value, spoken.gettext),
        comparison=comparison,
        figures=list(figures(comparison, smallest)) if comparison else [],
        axis=axis,
        event_charts=[_event_chart(writer, axis, each) for each in rounded.events[:MAX_CHARTS]],
        user_charts=_user_charts(writer, rounded, made_at),
        signup=_funnels(writer, rounded.signup),
        social=_funnels(writer, rounded.social),
        within=within,
        median=median_limit(within),
        longer=LONGER,
        retention=mean_retention(rounded.cohorts, rounded.span, day_of(made_at), smallest),
    )


def _event_chart(writer: Writer, axis: Axis, events: EventCounts) -> Chart:
    title = ", ".join(
        label(dimension, value, writer.language.gettext) for dimension, value in events.labels.items()
    )
    return _chart(writer, title, axis, events.counts, writer.count(events.total))


def _user_charts(writer: Writer, report: Report, now: datetime) -> list[tuple[Chart, Axis]]:
    found = []
    grains: tuple[Grain, ...] = ("day", "week", "month")
    for grain in grains:
        counts = list(report.people[grain].values())
        if any(counts):
            span = Span(report.span.since, report.span.until, grain)
            axis = time_axis(span, writer.language, now, clipped=False)
            found.append((_chart(writer, writer.language.gettext(GRAINS[grain]), axis, counts), axis))
    return found


def _chart(writer: Writer, title: str, axis: Axis, counts: Sequence[int], total: str = "") -> Chart:
    texts = [writer.count(count) for count in counts]
    return bar_chart(title, axis, counts, total=total, smallest=writer.smallest, texts=texts)


def _funnels(writer: Writer, funnels: list[Funnel]) -> list[FunnelView]:
    gettext = writer.language.gettext
    views = [funnel_view(each, writer.smallest) for each in funnels]
    # The name is that of a method, or of a provider from the settings, which stays as it is.
    return [each._replace(name=gettext(METHODS.get(each.name, each.name)) or "–") for each in views]
