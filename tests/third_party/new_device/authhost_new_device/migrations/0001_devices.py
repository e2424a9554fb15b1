"""The devices of each user."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
compatible_from = "0001"


def upgrade() -> None:
    op.create_table(
        "authhost_newdevice_device",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("authhost_newdevice_device")
