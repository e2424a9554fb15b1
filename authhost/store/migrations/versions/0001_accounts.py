"""Accounts, addresses, keys and sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from authhost.records import EMAIL_LENGTH
from authhost.store.tables import TABLE_OPTIONS, UtcDateTime

revision = "0001"
down_revision = None
compatible_from = "0001"

OPTIONS = TABLE_OPTIONS
digest = sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "authhost_user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(150)),
        sa.Column("username_key", sa.String(600)),
        sa.Column("password", sa.String(255)),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("ready_at", UtcDateTime()),
        sa.Column("date_joined", UtcDateTime(), nullable=False),
        sa.Column("last_login", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_user"),
        sa.UniqueConstraint("username_key", name="uq_authhost_user_username_key"),
        **OPTIONS,
    )
    op.create_table(
        "authhost_email_address",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(EMAIL_LENGTH), nullable=False),
        sa.Column("email_key", sa.String(EMAIL_LENGTH * 2), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("claim_key", sa.String(EMAIL_LENGTH * 2)),
        sa.Column("primary_of", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_email_address"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["authhost_user.id"],
            name="fk_authhost_email_address_user_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("user_id", "email_key", name="uq_authhost_email_address_user_id"),
        sa.UniqueConstraint("claim_key", name="uq_authhost_email_address_claim_key"),
        sa.UniqueConstraint("primary_of", name="uq_authhost_email_address_primary_of"),
        sa.CheckConstraint(
            "NOT verified OR claim_key IS NOT NULL", name="ck_authhost_email_address_verified_is_claimed"
        ),
        **OPTIONS,
    )
    op.create_index("ix_authhost_email_address_email_key", "authhost_email_address", ["email_key"])
    for table, column, owner, nullable in (
        ("authhost_email_confirmation", "email_address_id", "authhost_email_address", False),
        ("authhost_password_reset", "user_id", "authhost_user", True),
    ):
        op.create_table(
            table,
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column(column, sa.Uuid(), nullable=nullable),
            sa.Column("key_digest", digest, nullable=False),
            sa.Column("sent", UtcDateTime(), nullable=False),
            sa.Column("expires", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(
                [column], [f"{owner}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE"
            ),
            sa.UniqueConstraint("key_digest", name=f"uq_{table}_key_digest"),
            **OPTIONS,
        )
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_table(
        "authhost_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", digest, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("authenticated_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authhost_session"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["authhost_user.id"], name="fk_authhost_session_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("token_digest", name="uq_authhost_session_token_digest"),
        **OPTIONS,
    )
    op.create_index("ix_authhost_session_user_id", "authhost_session", ["user_id"])


def downgrade() -> None:
    for table in (
        "authhost_session",
        "authhost_password_reset",
        "authhost_email_confirmation",
        "authhost_email_address",
        "authhost_user",
    ):
        op.drop_table(table)
