"""What leaves the host: lines of JSON, CSV, and the exposition format of Prometheus.

Numbers are rounded as `authhost_analytics.discretion` tells: a count of one in
an hour is somebody.
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

from authhost_analytics.discretion import rounded
from authhost_analytics.periods import day_of, month_of, week_of
from authhost_analytics.reading import lines
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import Span
from authhost_analytics.tables import DIMENSIONS, count_table, people_table

COLUMNS = ("period", *DIMENSIONS, "count")
_NAMES = [count_table.c[name] for name in DIMENSIONS]
SUMMED = select(*_NAMES, func.sum(count_table.c.count)).where(count_table.c.grain == "day").group_by(*_NAMES)


def rows(host: Host, settings: AnalyticsSettings, span: Span) -> Iterator[dict[str, Any]]:
    """How many events of each kind in each period, period by period, in the order of their names."""
    with host.reader.connect() as connection:
        found = sorted(lines(connection, span, *DIMENSIONS), key=lambda line: tuple(line.labels.values()))
    for index, start in enumerate(span.starts):
        for line in found:
            if count := rounded(line.counts[index], settings.smallest_count):
                yield {"period": span.named(start), **line.labels, "count": count}


def as_json(row: dict[str, Any]) -> str:
    """One line."""
    return json.dumps(row, ensure_ascii=False)


def as_csv(row: dict[str, Any]) -> str:
    """One line (RFC 4180)."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([row[name] for name in COLUMNS])
    return buffer.getvalue().removesuffix("\r\n")


def registry(host: Host, settings: AnalyticsSettings) -> CollectorRegistry:
    """The figures for Prometheus, read at each scrape."""
    made = CollectorRegistry()
    made.register(_Figures(host, settings))
    return made


class _Figures(Collector):
    def __init__(self, host: Host, settings: AnalyticsSettings) -> None:
        self._host, self._smallest = host, settings.smallest_count

    def describe(self) -> list[Metric]:
        """Nothing is read before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All events so far, and the people of this day, week and month."""
        events = CounterMetricFamily("authhost_events", "Events of authentication.", labels=DIMENSIONS)
        people = GaugeMetricFamily(
            "authhost_people", "Different people today, this week and this month.", labels=("period",)
        )
        with self._host.reader.connect() as connection:
            for *labels, count in connection.execute(SUMMED):
                if few := rounded(int(count), self._smallest):
                    events.add_metric(labels, few)
            today, table = day_of(self._host.now), people_table.c
            for grain, start in {"day": today, "week": week_of(today), "month": month_of(today)}.items():
                here = (table.grain == grain, table.start == start, table.cohort == 0)
                count = connection.execute(select(table.people).where(*here)).scalar() or 0
                people.add_metric([grain], rounded(count, self._smallest))
        yield events
        yield people
