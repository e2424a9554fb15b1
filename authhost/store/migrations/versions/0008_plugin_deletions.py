"""Plugins that have not deleted their data of a deleted account yet."""

import sqlalchemy as sa
from alembic import op

from authhost.store.tables import SEALED, TABLE_OPTIONS, UtcDateTime

revision = "0008"
down_revision = "0007"
compatible_from = "0005"


def upgrade() -> None:
    op.create_table(
        "authhost_plugin_deletion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("plugin", sa.String(150), nullable=False),
        sa.Column("sealed", SEALED, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_plugin_deletion"),
        **TABLE_OPTIONS,
    )
