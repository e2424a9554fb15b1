"""The version of the terms that each user has accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
compatible_from = "0001"


def upgrade() -> None:
    op.create_table(
        "authhost_terms_acceptance",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("authhost_terms_acceptance")
