"""Exports: JSON Lines, CSV, and metrics for Prometheus.

Counts are rounded as `authhost_analytics.suppression` describes: a count of one
in an hour can identify a user.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from authhost_hookspecs import Host
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from authhost_analytics.dimensions import DIMENSIONS
from authhost_analytics.periods import day_of, month_of, week_of
from authhost_analytics.queries import event_counts
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import Span
from authhost_analytics.suppression import round_count
from authhost_analytics.tables import count_table, people_table

COLUMNS = ("period", *DIMENSIONS, "count")
_NAMES = [count_table.c[name] for name in DIMENSIONS]
TOTALS = select(*_NAMES, func.sum(count_table.c.count)).where(count_table.c.grain == "day").group_by(*_NAMES)


def rows(host: Host, settings: AnalyticsSettings, span: Span) -> Iterator[dict[str, Any]]:
    """Yield the number of events of each kind in each period, sorted by period, then by labels.

    Counts that are rounded to 0 are left out.
    """
    with host.reader.connect() as connection:
        found = event_counts(connection, span, *DIMENSIONS)
    found.sort(key=lambda each: tuple(each.labels.values()))
    for index, start in enumerate(span.starts):
        for each in found:
            if count := round_count(each.counts[index], settings.smallest_count):
                yield {"period": span.label(start), **each.labels, "count": count}


def as_json(row: dict[str, Any]) -> str:
    """Return a row as one line of JSON, without the line break."""
    return json.dumps(row, ensure_ascii=False)


def as_csv(row: dict[str, Any]) -> str:
    """Return a row as one line of CSV (RFC 4180), without the line break."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([row[name] for name in COLUMNS])
    return buffer.getvalue().removesuffix("\r\n")


def registry(host: Host, settings: AnalyticsSettings) -> CollectorRegistry:
    """Return a Prometheus registry that reads the database at each scrape."""
    made = CollectorRegistry()
    made.register(_Metrics(host, settings))
    return made


class _Metrics(Collector):
    def __init__(self, host: Host, settings: AnalyticsSettings) -> None:
        self._host, self._smallest = host, settings.smallest_count

    def describe(self) -> list[Metric]:
        """Return nothing, so that the registry does not read the database before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the totals of all events, and the unique users of this day, week and month."""
        events = CounterMetricFamily("authhost_events", "Events of authentication.", labels=DIMENSIONS)
        people = GaugeMetricFamily(
            "authhost_people", "Unique users today, this week and this month.", labels=("period",)
        )
        with self._host.reader.connect() as connection:
            for *labels, count in connection.execute(TOTALS):
                if rounded := round_count(int(count), self._smallest):
                    events.add_metric(labels, rounded)
            today, table = day_of(self._host.now), people_table.c
            for grain, start in {"day": today, "week": week_of(today), "month": month_of(today)}.items():
                same_row = (table.grain == grain, table.start == start, table.cohort == 0)
                count = connection.execute(select(table.people).where(*same_row)).scalar() or 0
                people.add_metric([grain], round_count(count, self._smallest))
        yield events
        yield people
