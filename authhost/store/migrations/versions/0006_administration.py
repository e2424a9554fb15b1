"""When, until when and why an account was deactivated, accounts of administrators; texts to search."""

import sqlalchemy as sa
from alembic import op

from authhost.store.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
compatible_from = "0005"

USER, ADDRESS = "authhost_user", "authhost_email_address"


def upgrade() -> None:
    op.add_column(USER, sa.Column("deactivated_at", UtcDateTime()))
    op.add_column(USER, sa.Column("deactivated_until", UtcDateTime()))
    op.add_column(USER, sa.Column("deactivation_reason", sa.String(500)))
    op.add_column(USER, sa.Column("awaits_owner", sa.Boolean()))
    op.create_index("ix_authhost_user_deactivated_at", USER, ["deactivated_at"])
    # Nobody knows when the accounts of earlier versions were deactivated.
    op.execute("UPDATE authhost_user SET deactivated_at = CURRENT_TIMESTAMP WHERE is_active = false")
    # An index by bytes finds the beginning of a text; PostgreSQL sorts by the rules of a language otherwise.
    if op.get_context().dialect.name == "postgresql":
        for table, column, length in ((USER, "username_key", 600), (ADDRESS, "email_key", 508)):
            op.alter_column(table, column, type_=sa.String(length, collation="C"))
