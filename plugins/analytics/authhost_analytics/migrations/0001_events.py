"""The events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "authhost_analytics_event",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64)),
    )
    op.create_index("ix_authhost_analytics_event_day", "authhost_analytics_event", ["day", "event"])


def downgrade() -> None:
    op.drop_table("authhost_analytics_event")
