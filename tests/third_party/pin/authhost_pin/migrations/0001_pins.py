"""The PINs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
compatible_from = "0001"


def upgrade() -> None:
    op.create_table(
        "authhost_pin_pin",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("authhost_pin_pin")
