"""A copy of a user's data, and its erasure. The aggregated tables contain no data about a single user."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from authhost_hookspecs import Host, Request
from sqlalchemy import Connection, bindparam, case, func, null, or_, select, tuple_, update

from authhost_analytics.dimensions import DIMENSIONS
from authhost_analytics.funnels import duration_limit
from authhost_analytics.periods import HOURS_A_DAY, day_of, month_before, month_of
from authhost_analytics.pseudonyms import all_pseudonyms
from authhost_analytics.rollup import interrupt_roll_up
from authhost_analytics.tables import event_table, journey_table


class Erased(NamedTuple):
    """How many stored events and signups referred to a user."""

    events: int
    signups: int


def erase_user(host: Host, user_id: UUID) -> Erased:
    """Remove a user's pseudonyms and exact times from the stored rows; return how many were changed.

    The events stay and are still counted, but refer to no user. Of a signup remain the
    steps that were taken, and the upper limit of the time to confirm.
    """
    with host.reader.connect() as connection:
        theirs = _pseudonyms(host, connection, user_id)
    pseudonyms = [pseudonym for _, pseudonym in theirs]
    table, journey = event_table.c, journey_table.c
    lasted = duration_limit(journey.confirmed - journey.began)
    of_user = or_(table.person.in_(pseudonyms), table.person_before.in_(pseudonyms))
    # Ids increase with time, so an erased event gets a random id below all others.
    no_user = dict.fromkeys(("person", "person_before", "cohort"))
    erased = (
        update(event_table)
        .where(table.id == bindparam("of_id"))
        .values(id=bindparam("random_id"), second=0, **no_user)
    )
    with host.reader.connect() as connection:
        found = [
            {"of_id": each, "random_id": -1 - secrets.randbits(62)}
            for each in connection.execute(select(table.id).where(of_user)).scalars()
        ]
    # A roll-up that has already read the user's events must not write them now.
    with host.engine.begin() as connection:
        interrupt_roll_up(connection)
        if found:
            connection.execute(erased, found)
        signups = 0
        for month, pseudonym in theirs:
            of_signup = update(journey_table).where(journey.month == month, journey.person == pseudonym)
            # The order matters: on MariaDB an expression sees the values that were set before it.
            changed = connection.execute(
                of_signup.ordered_values(
                    (journey.sent, journey.sent - journey.sent),
                    (journey.confirmed, case((journey.confirmed.is_(None), null()), else_=lasted)),
                    (journey.logged_in, journey.logged_in - journey.logged_in),
                    (journey.began, 0),
                    (journey.person, secrets.randbits(63)),
                )
            )
            signups += changed.rowcount
    return Erased(len(found), signups)


def data_of_user(request: Request, user_id: UUID) -> dict[str, Any]:
    """Return the events and signups that are stored with one of a user's pseudonyms, as values for JSON."""
    connection = request.db.connection()
    theirs = _pseudonyms(request, connection, user_id)
    table, journey = event_table.c, journey_table.c
    of_user = table.person.in_([pseudonym for _, pseudonym in theirs])
    events = select(event_table).where(of_user).order_by(table.id)
    signups = select(journey_table).where(tuple_(journey.month, journey.person).in_(theirs))
    return {
        "events": [
            {
                "time": _time(row.hour * 3600 + row.second),
                **{name: getattr(row, name) for name in DIMENSIONS},
            }
            for row in connection.execute(events)
        ],
        "signups": [
            {
                "method": row.method,
                **{name: _time(getattr(row, name)) for name in ("began", "sent", "confirmed", "logged_in")},
            }
            for row in connection.execute(signups)
        ],
    }


def _time(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds is not None else None


def _pseudonyms(source: Host | Request, connection: Connection, user_id: UUID) -> list[tuple[int, int]]:
    """Return the months and the user's pseudonyms that can occur in stored rows."""
    return [
        (month, pseudonym)
        for month in _months(source.now, connection)
        for pseudonym in all_pseudonyms(source.keyed_hashes, month, user_id)
    ]


def _months(now: datetime, connection: Connection) -> Iterator[int]:
    """Yield the months whose pseudonyms can occur in stored rows, newest first."""
    month = month_of(day_of(now))
    first_hour = connection.execute(select(func.min(event_table.c.hour))).scalar()
    first_month = connection.execute(select(func.min(journey_table.c.month))).scalar()
    oldest = month if first_hour is None else month_of(first_hour // HOURS_A_DAY)
    oldest = min(oldest, month if first_month is None else first_month)
    while month >= oldest:
        yield month
        month = month_before(month)
