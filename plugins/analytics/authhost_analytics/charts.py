"""Charts as values: the template draws them as SVG that fits any width, with their labels as HTML.

A period is drawn in one of four ways: complete, incomplete (it is still running, or the
report begins or ends within it), unknown (its count is too small to be shown), or not at all
(it has not begun).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from authhost_analytics.languages import Language
from authhost_analytics.periods import HOURS_A_DAY, as_date, as_time, hour_of, month_after
from authhost_analytics.spans import Grain, Span

MAX_TOOLTIPS = 62
"""A chart with more periods has neither tooltips nor gaps between its bars."""
HEIGHT = 100
GAP = 0.12
"""Of a bar's width, on each side."""
STEPS_OF_SCALE = (1, 2, 3, 4, 5, 6, 8, 10)


class State(Enum):
    """How a period is drawn."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"
    FUTURE = "future"


class Axis(NamedTuple):
    """The periods of a chart: their names, three labels below it, and which are incomplete or future."""

    names: list[str]
    ticks: list[str]
    incomplete: frozenset[int]
    future: frozenset[int]


class Run(NamedTuple):
    """Neighbouring periods whose counts are unknown, in percent of the chart's width."""

    left: float
    width: float


class Chart(NamedTuple):
    """A chart and its data. ``done`` and ``running`` are paths of SVG; ``cells`` the counts as text."""

    title: str
    total: str
    size: int
    limit: int | None
    done: str
    running: str
    unknown: list[Run]
    tooltips: list[str]
    ticks: list[str]
    cells: list[str]
    states: frozenset[str]


def time_axis(span: Span, language: Language, now: datetime, *, clipped: bool = True) -> Axis:
    """Return the axis of a span. It begins at the first day of the report.

    ``clipped``: the first and the last period contain only days of the span. Unique users are
    counted for whole weeks and months.
    """
    starts = span.starts
    ends = [_end(span.grain, start) for start in starts]
    unit = HOURS_A_DAY if span.grain == "hour" else 1
    first, last = span.days[0] * unit, (span.days[1] + 1) * unit - 1
    current = hour_of(now) // (HOURS_A_DAY // unit)
    incomplete = {
        index
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end >= current or (clipped and (start < first or end > last))
    }
    future = {index for index, start in enumerate(starts) if start > current}
    names = [_name(span.grain, max(start, first), language) for start in starts]
    shown = sorted({0, (len(starts) - 1) // 2, len(starts) - 1}) if len(starts) != 2 else [0, 1]
    ticks = [_tick(span.grain, max(starts[index], first), language) for index in shown]
    return Axis(names, ticks, frozenset(incomplete - future), frozenset(future))


def _end(grain: Grain, start: int) -> int:
    """Return the last day, or hour, of a period."""
    if grain == "month":
        return month_after(start) - 1
    return start + (6 if grain == "week" else 0)


def _name(grain: Grain, start: int, language: Language) -> str:
    if grain == "hour":
        return language.skeleton("yMMMd", as_time(start)) + as_time(start).strftime(", %H:%M")
    return language.skeleton("yMMM", as_date(start)) if grain == "month" else language.day(as_date(start))


def _tick(grain: Grain, start: int, language: Language) -> str:
    if grain == "hour":
        return language.skeleton("MMMd", as_time(start)) + as_time(start).strftime(" %H:%M")
    return language.skeleton("yMMM" if grain == "month" else "MMMd", as_date(start))


def bar_chart(
    title: str, axis: Axis, counts: Sequence[int], *, total: str = "", smallest: int, texts: Sequence[str]
) -> Chart:
    """Return a chart of rounded counts. ``texts`` are the counts as readers see them."""
    highest = scale_limit(max(counts, default=0))
    paths: dict[State, list[str]] = {state: [] for state in State}
    states = [_state(index, count, axis, smallest) for index, count in enumerate(counts)]
    gap = GAP if len(counts) <= MAX_TOOLTIPS else 0
    for index, (count, state) in enumerate(zip(counts, states, strict=True)):
        if count and state is not State.UNKNOWN:
            top = HEIGHT - HEIGHT * count / highest
            paths[state].append(f"M{index + gap:g} {HEIGHT}V{top:.4g}H{index + 1 - gap:g}V{HEIGHT}Z")
    cells = ["–" if state is State.FUTURE else text for state, text in zip(states, texts, strict=True)]
    tooltips = [f"{name}: {cell}" for name, cell in zip(axis.names, cells, strict=True)]
    return Chart(
        title,
        total,
        len(counts),
        highest if any(counts) else None,
        "".join(paths[State.COMPLETE]),
        "".join(paths[State.INCOMPLETE]),
        _runs(states),
        tooltips if len(counts) <= MAX_TOOLTIPS else [],
        axis.ticks,
        cells,
        frozenset(state.value for state in states),
    )


def _state(index: int, count: int, axis: Axis, smallest: int) -> State:
    if index in axis.future:
        return State.FUTURE
    if count == 0 and smallest > 1:
        return State.UNKNOWN
    return State.INCOMPLETE if index in axis.incomplete else State.COMPLETE


def _runs(states: Sequence[State]) -> list[Run]:
    runs: list[Run] = []
    begun: int | None = None
    for index, state in enumerate([*states, State.FUTURE]):
        if state is State.UNKNOWN and begun is None:
            begun = index
        elif state is not State.UNKNOWN and begun is not None:
            runs.append(
                Run(round(100 * begun / len(states), 3), round(100 * (index - begun) / len(states), 3))
            )
            begun = None
    return runs


def scale_limit(highest: int) -> int:
    """Return a round number that is not below ``highest``, for the end of a scale."""
    size = 10 ** (len(str(highest)) - 1)
    return next(size * step for step in STEPS_OF_SCALE if size * step >= highest) if highest else 1
