"""The audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "authhost_audit_event",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "time",
            sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
            nullable=False,
        ),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("flow", sa.String(64)),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
    )
    op.create_index("ix_authhost_audit_event_time", "authhost_audit_event", ["time"])
    op.create_index("ix_authhost_audit_event_user", "authhost_audit_event", ["user_id", "time"])


def downgrade() -> None:
    op.drop_table("authhost_audit_event")
