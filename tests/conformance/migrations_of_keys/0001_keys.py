"""A table whose rows the database deletes with the account."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    user = sa.ForeignKey("authhost_user.id", ondelete="CASCADE")
    op.create_table("authhost_faulty_key", sa.Column("user_id", sa.Uuid(), user, primary_key=True))
