"""Events, which are only ever appended, and the figures that the roll-up makes of them."""

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

metadata = MetaData()

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
NAME_LENGTH = 64
DIMENSIONS = ("event", "flow", "outcome", "provider", "method")
"""What an event is counted by. Empty where it does not apply."""


def _dimensions(*, primary_key: bool = False) -> list[Column[Any]]:
    return [Column(name, String(NAME_LENGTH), nullable=False, primary_key=primary_key) for name in DIMENSIONS]


# One row for each event, and nothing that two logins would wait for each other at.
event_table = Table(
    "authhost_analytics_event",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("hour", Integer(), nullable=False),
    Column("second", SmallInteger(), nullable=False),
    *_dimensions(),
    # Pseudonyms of the affected user: of this month, and of the month before.
    Column("person", BigInteger()),
    Column("person_before", BigInteger()),
    # The week of the signup, as the day of its Monday.
    Column("cohort", Integer()),
    # How many events of this kind the row stands for.
    Column("repeated", Integer(), nullable=False, server_default="1"),
    Index("ix_authhost_analytics_event_hour", "hour"),
    **OPTIONS,
)

# How many rows of an hour are in the figures.
hour_table = Table(
    "authhost_analytics_hour",
    metadata,
    Column("hour", Integer(), primary_key=True, autoincrement=False),
    Column("events", Integer(), nullable=False),
    **OPTIONS,
)

# `grain` is `hour` or `day`, `start` the number of it.
count_table = Table(
    "authhost_analytics_count",
    metadata,
    Column("grain", String(8), primary_key=True),
    Column("start", Integer(), primary_key=True, autoincrement=False),
    *_dimensions(primary_key=True),
    Column("count", BigInteger(), nullable=False),
    **OPTIONS,
)

# How many people, by `day`, `week` and `month`; and, where `cohort` is not 0, how many of those who signed
# up in that week came in this one. The salt goes when the period is over: then nobody can be looked for.
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

# Signups of this month and of the one before, with the seconds after which the next step was taken.
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

# What became of the signups of a day.
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

# How long it took those who signed up on a day to confirm their address: within so many seconds.
duration_table = Table(
    "authhost_analytics_duration",
    metadata,
    Column("day", Integer(), primary_key=True, autoincrement=False),
    Column("seconds", BigInteger(), primary_key=True, autoincrement=False),
    Column("count", Integer(), nullable=False),
    **OPTIONS,
)

# Who rolls up, until when at the latest, and up to which hour it was done.
roll_table = Table(
    "authhost_analytics_roll",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("owner", String(36)),
    Column("until", BigInteger(), nullable=False),
    Column("hour", Integer(), nullable=False),
    **OPTIONS,
)
