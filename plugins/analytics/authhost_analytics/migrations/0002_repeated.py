"""Add the number of equal events that a row stands for: repeated refusals are stored once."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
compatible_from = "0001"


def upgrade() -> None:
    op.add_column(
        "authhost_analytics_event",
        sa.Column("repeated", sa.Integer(), nullable=False, server_default="1"),
    )


def downgrade() -> None:
    op.drop_column("authhost_analytics_event", "repeated")
