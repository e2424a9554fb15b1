"""The name, username and picture of a person at a provider, and what a signup that waits was given."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
compatible_from = "0003"


def upgrade() -> None:
    op.add_column("authhost_social_account", sa.Column("name", sa.String(255)))
    op.add_column("authhost_social_account", sa.Column("username", sa.String(255)))
    op.add_column("authhost_social_account", sa.Column("picture", sa.String(2048)))
    sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    op.add_column("authhost_user", sa.Column("signup_given", sealed))
