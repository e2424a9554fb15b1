"""Create the tables: the outbox, suppressed addresses, and known devices."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
compatible_from = "0001"

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}


def upgrade() -> None:
    op.create_table(
        "authhost_email_outbox",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("context", sa.JSON()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=False),
        sa.Column("claim", sa.Uuid()),
        sa.Column("sent_at", TIME),
        sa.Column("last_error", sa.String(255)),
        **OPTIONS,
    )
    op.create_index("ix_authhost_email_outbox_due", "authhost_email_outbox", ["status", "next_attempt_at"])
    op.create_index(
        "ix_authhost_email_outbox_recipient", "authhost_email_outbox", ["recipient", "status", "id"]
    )
    op.create_table(
        "authhost_email_suppression",
        sa.Column("recipient", sa.String(254), primary_key=True),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_email_device",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column(
            "digest",
            sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"),
            primary_key=True,
        ),
        sa.Column("seen_at", TIME, nullable=False),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("device", "suppression", "outbox"):
        op.drop_table(f"authhost_email_{table}")
