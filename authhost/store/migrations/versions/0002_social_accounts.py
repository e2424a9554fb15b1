"""Accounts at providers, their tokens, and logins that are under way."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from authhost.store.tables import TABLE_OPTIONS, UtcDateTime

revision = "0002"
down_revision = "0001"
compatible_from = "0001"

OPTIONS = TABLE_OPTIONS
digest = sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb")
sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("authhost_session", sa.Column("provider", sa.String(64)))
    op.create_table(
        "authhost_social_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("uid", sa.String(255), nullable=False),
        sa.Column("extra_data", sa.JSON(), nullable=False),
        sa.Column("date_joined", UtcDateTime(), nullable=False),
        sa.Column("last_login", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_social_account"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["authhost_user.id"],
            name="fk_authhost_social_account_user_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("issuer", "uid", name="uq_authhost_social_account_issuer"),
        **OPTIONS,
    )
    op.create_index("ix_authhost_social_account_user_id", "authhost_social_account", ["user_id"])
    op.create_table(
        "authhost_social_token",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("sealed", sealed, nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_authhost_social_token"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["authhost_social_account.id"],
            name="fk_authhost_social_token_account_id",
            ondelete="CASCADE",
        ),
        **OPTIONS,
    )
    op.create_table(
        "authhost_social_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_digest", digest, nullable=False),
        sa.Column("sealed", sealed, nullable=False),
        sa.Column("sent", UtcDateTime(), nullable=False),
        sa.Column("expires", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_social_step"),
        sa.UniqueConstraint("key_digest", name="uq_authhost_social_step_key_digest"),
        **OPTIONS,
    )
