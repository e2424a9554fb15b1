"""The plugins that guard an account, and the authentications of sessions and pending logins."""

import sqlalchemy as sa
from alembic import op

from authhost.store.tables import UtcDateTime

revision = "0005"
down_revision = "0004"
compatible_from = "0005"  # earlier programs log in without the second factors of guarded accounts


def upgrade() -> None:
    op.add_column("authhost_user", sa.Column("login_guards", sa.String(1000)))
    op.add_column("authhost_session", sa.Column("authentications", sa.Text()))
    op.add_column("authhost_pending_login", sa.Column("authentications", sa.Text()))
    op.add_column("authhost_pending_login", sa.Column("done", sa.Text()))
    op.add_column("authhost_pending_login", sa.Column("started", UtcDateTime()))
