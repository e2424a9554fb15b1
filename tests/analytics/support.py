"""Helpers of the tests: store events, run the roll-up, and read the results."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from authhost_analytics.events import event_row
from authhost_analytics.queries import read_report
from authhost_analytics.report import as_document
from authhost_analytics.rollup import roll_up
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import Span
from authhost_analytics.tables import event_table, metadata
from sqlalchemy import func, insert, select

ANN, BOB = "ann@example.org", "bob@example.org"


def settings_of(host) -> AnalyticsSettings:
    return host.plugin_settings("analytics")


def at(text):
    """Return the time ``2026-01-31`` or ``2026-01-31 23:59`` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def user(number):
    return UUID(int=number)


def row(host, time, event, who=None, joined=None, **labels):
    return event_row(
        host.keyed_hashes,
        at(time),
        event,
        None if who is None else user(who),
        joined=None if joined is None else at(joined),
        **labels,
    )


def store(host, *rows):
    """Store events as the plugin does."""
    with host.engine.begin() as connection:
        connection.execute(insert(event_table), list(rows))


def signup(host, time, who, **labels):
    return row(host, time, "user_signed_up", who, time, method="password", **labels)


def login(host, time, who, joined, method="password", **labels):
    return row(host, time, "user_logged_in", who, joined, method=method, **labels)


def run_roll_up(host, **options):
    return list(roll_up(host, settings_of(host), **options))


def document(host, since="2026-01-01", until="2026-12-31", grain="day", by=("event",)):
    """Return the report as a JSON document."""
    span = Span(date.fromisoformat(since), date.fromisoformat(until), grain)
    return as_document(read_report(host, span, by))


def events(host, **span):
    return {each["event"]: each["total"] for each in document(host, **span)["events"]}


def people(host, grain, **span):
    """Return the unique users of each period that has any."""
    return {start: count for start, count in document(host, **span)["people"][grain].items() if count}


def stored(host, table=event_table):
    with host.reader.connect() as connection:
        return connection.execute(select(table)).all()


def count(host, table=event_table):
    with host.reader.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def aggregates(host):
    """Return the rows that the roll-up wrote, without sketches, whose salts are random."""
    return {
        table.name: sorted(
            tuple(value for name, value in each._asdict().items() if name not in ("salt", "sketch"))
            for each in stored(host, table)
        )
        for table in metadata.tables.values()
        if table.name.rpartition("_")[2] in ("hour", "count", "people", "funnel", "duration")
    }
