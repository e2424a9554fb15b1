"""The tables: stored events, and the aggregates that the roll-up computes from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.dialects import mysql

from authhost_analytics.dimensions import DIMENSIONS

metadata = MetaData()

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
NAME_LENGTH = 64


def _dimensions(*, primary_key: bool = False) -> list[Column[Any]]:
    return [Column(name, String(NAME_LENGTH), nullable=False, primary_key=primary_key) for name in DIMENSIONS]


# One row for each event. Rows are only inserted, so that concurrent logins do not wait for each other.
event_table = Table(
    "authhost_analytics_event",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("hour", Integer(), nullable=False),
    Column("second", SmallInteger(), nullable=False),
    *_dimensions(),
    # The affected user's pseudonyms of this month and of the month before.
    Column("person", BigInteger()),
    Column("person_before", BigInteger()),
    # The week of the user's signup, as the number of its Monday.
    Column("cohort", Integer()),
    # How many equal events the row stands for.
    Column("repeated", Integer(), nullable=False, server_default="1"),
    Index("ix_authhost_analytics_event_hour", "hour"),
    **OPTIONS,
)

# How many rows of an hour have been counted.
hour_table = Table(
    "authhost_analytics_hour",
    metadata,
    Column("hour", Integer(), primary_key=True, autoincrement=False),
    Column("events", Integer(), nullable=False),
    **OPTIONS,
)

# Numbers of events. `grain` is `hour` or `day`, `start` is the number of the hour or day.
count_table = Table(
    "authhost_analytics_count",
    metadata,
    Column("grain", String(8), primary_key=True),
    Column("start", Integer(), primary_key=True, autoincrement=False),
    *_dimensions(primary_key=True),
    Column("count", BigInteger(), nullable=False),
    **OPTIONS,
)

# Unique users by `day`, `week` and `month`. If `cohort` is not 0: how many of the users who signed up in the
# week `cohort` were active in the week `start`. The salt is deleted after the period; without it nobody can
# test whether a user is in the sketch.
people_table = Table(
    "authhost_analytics_people",
    metadata,
    Column("grain", String(8), primary_key=True),
    Column("start", Integer(), primary_key=True, autoincrement=False),
    Column("cohort", Integer(), primary_key=True, autoincrement=False),
    Column("people", Integer(), nullable=False),
    Column("salt", LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")),
    Column("sketch", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"), nullable=False),
    **OPTIONS,
)

# Signups of this month and of the month before, with the time of each step in seconds since 1970.
journey_table = Table(
    "authhost_analytics_journey",
    metadata,
    Column("month", Integer(), primary_key=True, autoincrement=False),
    Column("person", BigInteger(), primary_key=True, autoincrement=False),
    Column("day", Integer(), nullable=False),
    Column("began", BigInteger(), nullable=False),
    Column("method", String(NAME_LENGTH), nullable=False),
    Column("sent", BigInteger()),
    Column("confirmed", BigInteger()),
    Column("logged_in", BigInteger()),
    Index("ix_authhost_analytics_journey_day", "day"),
    **OPTIONS,
)

# How many of the users who signed up on a day took each step.
funnel_table = Table(
    "authhost_analytics_funnel",
    metadata,
    Column("day", Integer(), primary_key=True, autoincrement=False),
    Column("method", String(NAME_LENGTH), primary_key=True),
    Column("signed_up", Integer(), nullable=False),
    Column("sent", Integer(), nullable=False),
    Column("confirmed", Integer(), nullable=False),
    Column("logged_in", Integer(), nullable=False),
    **OPTIONS,
)

# How many of the users who signed up on a day confirmed their address within `seconds`.
duration_table = Table(
    "authhost_analytics_duration",
    metadata,
    Column("day", Integer(), primary_key=True, autoincrement=False),
    Column("seconds", BigInteger(), primary_key=True, autoincrement=False),
    Column("count", Integer(), nullable=False),
    **OPTIONS,
)

# The lease of the roll-up: its owner, when it expires, and the hour of the last complete roll-up.
roll_table = Table(
    "authhost_analytics_roll",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("owner", String(36)),
    Column("until", BigInteger(), nullable=False),
    Column("hour", Integer(), nullable=False),
    **OPTIONS,
)
