"""The choice of each user."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
compatible_from = "0001"


def upgrade() -> None:
    op.create_table(
        "authhost_newsletter_preference",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("frequency", sa.String(16), nullable=False),
        sa.Column("about_products", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("authhost_newsletter_preference")
