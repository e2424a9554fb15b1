"""The outbox."""

from alembic import op

from authhost_email.tables import outbox_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    outbox_table.create(op.get_bind())


def downgrade() -> None:
    outbox_table.drop(op.get_bind())
