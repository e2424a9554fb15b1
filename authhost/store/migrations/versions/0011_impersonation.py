"""Who works in the account of somebody else in a session, and why.

A program of an earlier version takes such a session for one of the user: begin none while one runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
compatible_from = "0005"

SESSION = "authhost_session"


def upgrade() -> None:
    op.add_column(SESSION, sa.Column("actor_id", sa.Uuid()))
    op.add_column(SESSION, sa.Column("actor_name", sa.String(150)))
    op.add_column(SESSION, sa.Column("actor_session_id", sa.Uuid()))
    op.add_column(SESSION, sa.Column("impersonation_reason", sa.String(500)))
    op.add_column(SESSION, sa.Column("impersonation_id", sa.Uuid()))
