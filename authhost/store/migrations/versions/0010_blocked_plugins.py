"""The plugins that operators block at run time."""

import sqlalchemy as sa
from alembic import op

from authhost.store.tables import TABLE_OPTIONS, UtcDateTime

revision = "0010"
down_revision = "0009"
compatible_from = "0005"


def upgrade() -> None:
    op.create_table(
        "authhost_blocked_plugin",
        sa.Column("plugin", sa.String(128), primary_key=True),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("blocked_by", sa.String(150), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        **TABLE_OPTIONS,
    )
