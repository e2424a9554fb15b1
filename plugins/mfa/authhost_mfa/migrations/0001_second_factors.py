"""Create the tables: authenticators, recovery codes, counters of accounts, trusted browsers, challenges."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
compatible_from = "0001"

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}


def _bytes(length: int) -> sa.types.TypeEngine[Any]:
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "authhost_mfa_authenticator",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME),
        sa.Column("totp_of", sa.Uuid(), unique=True),
        sa.Column("secret", sa.Text()),
        sa.Column("last_step", sa.BigInteger()),
        sa.Column("credential_digest", _bytes(32), unique=True),
        sa.Column("credential_id", _bytes(1023)),
        sa.Column("public_key", sa.LargeBinary()),
        sa.Column("sign_count", sa.BigInteger()),
        sa.Column("transports", sa.String(200)),
        sa.Column("aaguid", sa.String(36)),
        sa.Column("backup_eligible", sa.Boolean()),
        sa.Column("backed_up", sa.Boolean()),
        sa.Column("user_verified", sa.Boolean()),
        sa.Column("discoverable", sa.Boolean()),
        **OPTIONS,
    )
    op.create_table(
        "authhost_mfa_recovery_code",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_digest", _bytes(32), nullable=False, unique=True),
        sa.Column("created_at", TIME, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_mfa_account",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("user_handle", _bytes(64), nullable=False, unique=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_try_at", TIME),
        sa.Column("last_kind", sa.String(32)),
        **OPTIONS,
    )
    op.create_table(
        "authhost_mfa_trusted_browser",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", _bytes(32), nullable=False, unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(512), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_mfa_used_challenge",
        sa.Column("digest", _bytes(32), primary_key=True),
        sa.Column("expires_at", TIME, nullable=False),
        **OPTIONS,
    )
    op.create_index(
        "ix_authhost_mfa_used_challenge_expires_at", "authhost_mfa_used_challenge", ["expires_at"]
    )
    for table in ("authenticator", "recovery_code", "trusted_browser"):
        name = f"authhost_mfa_{table}"
        op.create_index(f"ix_{name}_user_id", name, ["user_id"])


def downgrade() -> None:
    for table in ("used_challenge", "trusted_browser", "account", "recovery_code", "authenticator"):
        op.drop_table(f"authhost_mfa_{table}")
