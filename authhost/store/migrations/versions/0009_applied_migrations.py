"""The migrations that were applied, when, and which programs work with them."""

import sqlalchemy as sa
from alembic import op

from authhost.store.tables import TABLE_OPTIONS, UtcDateTime

revision = "0009"
down_revision = "0008"
compatible_from = "0005"


def upgrade() -> None:
    op.create_table(
        "authhost_migration",
        sa.Column("name", sa.String(150), nullable=False),
        sa.Column("revision", sa.String(32), nullable=False),
        sa.Column("what", sa.String(255), nullable=False),
        sa.Column("compatible_from", sa.String(32)),
        sa.Column("applied_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", "revision", name="pk_authhost_migration"),
        **TABLE_OPTIONS,
    )
