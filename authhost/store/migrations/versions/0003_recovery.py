"""Pending logins as rows, the address that a reset was sent to, and signups that expire."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from authhost.store.tables import TABLE_OPTIONS, UtcDateTime

revision = "0003"
down_revision = "0002"
compatible_from = "0003"  # earlier programs keep pending logins elsewhere, and their signups do not expire

digest = sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("authhost_user", sa.Column("signup_expires", UtcDateTime()))
    with op.batch_alter_table("authhost_password_reset") as resets:
        resets.add_column(sa.Column("email_address_id", sa.Uuid()))
        resets.create_foreign_key(
            "fk_authhost_password_reset_email_address_id",
            "authhost_email_address",
            ["email_address_id"],
            ["id"],
            ondelete="CASCADE",
        )
        resets.create_index("ix_authhost_password_reset_email_address_id", ["email_address_id"])
    op.create_table(
        "authhost_pending_login",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email_address_id", sa.Uuid()),
        sa.Column("token_digest", digest, nullable=False),
        sa.Column("password_digest", digest),
        sa.Column("sent", UtcDateTime(), nullable=False),
        sa.Column("expires", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_pending_login"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["authhost_user.id"], name="fk_authhost_pending_login_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["email_address_id"],
            ["authhost_email_address.id"],
            name="fk_authhost_pending_login_email_address_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("token_digest", name="uq_authhost_pending_login_token_digest"),
        **TABLE_OPTIONS,
    )
    op.create_index("ix_authhost_pending_login_user_id", "authhost_pending_login", ["user_id"])
    op.create_index(
        "ix_authhost_pending_login_email_address_id", "authhost_pending_login", ["email_address_id"]
    )
