"""The table of the plugins under test."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "authhost_faulty_note",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("text", sa.String(200)),
        sa.Column("at", sa.DateTime()),
    )
