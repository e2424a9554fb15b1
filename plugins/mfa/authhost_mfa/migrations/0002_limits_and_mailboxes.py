"""Count the tries that a limit refuses, and create the table of the codes for two mailboxes."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
compatible_from = "0001"

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
ACCOUNT, MAILBOX_CODES = "authhost_mfa_account", "authhost_mfa_mailbox_codes"


def upgrade() -> None:
    op.add_column(ACCOUNT, sa.Column("refused", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(ACCOUNT, sa.Column("refused_since", TIME))
    op.create_table(
        MAILBOX_CODES,
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("codes_digest", sa.String(64)),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        **OPTIONS,
    )
    op.create_index(f"ix_{MAILBOX_CODES}_user_id", MAILBOX_CODES, ["user_id"])


def downgrade() -> None:
    op.drop_table(MAILBOX_CODES)
    op.drop_column(ACCOUNT, "refused_since")
    op.drop_column(ACCOUNT, "refused")
