"""Create the tables of events and of aggregates."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
compatible_from = "0001"

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
TABLES = ("event", "hour", "count", "people", "journey", "funnel", "duration", "roll")


def dimensions(*, primary_key: bool = False) -> list[sa.Column[Any]]:
    names = ("event", "flow", "outcome", "provider", "method")
    return [sa.Column(name, sa.String(64), nullable=False, primary_key=primary_key) for name in names]


def number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "authhost_analytics_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("second", sa.SmallInteger(), nullable=False),
        *dimensions(),
        sa.Column("person", sa.BigInteger()),
        sa.Column("person_before", sa.BigInteger()),
        sa.Column("cohort", sa.Integer()),
        **OPTIONS,
    )
    op.create_index("ix_authhost_analytics_event_hour", "authhost_analytics_event", ["hour"])
    op.create_table(
        "authhost_analytics_hour",
        number("hour"),
        sa.Column("events", sa.Integer(), nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_analytics_count",
        sa.Column("grain", sa.String(8), primary_key=True),
        number("start"),
        *dimensions(primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_analytics_people",
        sa.Column("grain", sa.String(8), primary_key=True),
        number("start"),
        number("cohort"),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")),
        sa.Column(
            "sketch",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"),
            nullable=False,
        ),
        **OPTIONS,
    )
    op.create_table(
        "authhost_analytics_journey",
        number("month"),
        sa.Column("person", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("sent", sa.BigInteger()),
        sa.Column("confirmed", sa.BigInteger()),
        sa.Column("logged_in", sa.BigInteger()),
        **OPTIONS,
    )
    op.create_index("ix_authhost_analytics_journey_day", "authhost_analytics_journey", ["day"])
    op.create_table(
        "authhost_analytics_funnel",
        number("day"),
        sa.Column("method", sa.String(64), primary_key=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("signed_up", "sent", "confirmed", "logged_in")
        ),
        **OPTIONS,
    )
    op.create_table(
        "authhost_analytics_duration",
        number("day"),
        sa.Column("seconds", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer(), nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_analytics_roll",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(36)),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        **OPTIONS,
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(f"authhost_analytics_{name}")
