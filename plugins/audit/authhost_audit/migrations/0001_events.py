"""The audit trail."""

from alembic import op

from authhost_audit.tables import event_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    event_table.create(op.get_bind())


def downgrade() -> None:
    event_table.drop(op.get_bind())
