"""Indexes of the accounts that an administrator looks for among millions."""

from alembic import op
from sqlalchemy import and_, column, false

revision = "0007"
down_revision = "0006"
compatible_from = "0005"

USER, ADDRESS = "authhost_user", "authhost_email_address"
UNVERIFIED = and_(column("primary_of").is_not(None), column("verified") == false())
INDEXES = (
    ("ix_authhost_user_deactivated", USER, "id", column("is_active") == false()),
    ("ix_authhost_user_guarded", USER, "id", column("login_guards").is_not(None)),
    ("ix_authhost_user_passwordless", USER, "id", column("password").is_(None)),
    ("ix_authhost_email_address_unverified", ADDRESS, "primary_of", UNVERIFIED),
)


def upgrade() -> None:
    # MariaDB cannot index some of the rows only.
    if op.get_context().dialect.name in ("postgresql", "sqlite"):
        for name, table, of, where in INDEXES:
            op.create_index(name, table, [of], postgresql_where=where, sqlite_where=where)
