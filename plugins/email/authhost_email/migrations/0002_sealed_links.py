"""Add columns for encrypted links, and delete the content of messages with a final status.

A migration has no keys. So waiting messages keep their unencrypted link until
their next attempt, which encrypts it. All other messages lose their link here, so
``authhost email retry`` cannot send them any more.
"""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
compatible_from = "0002"  # earlier programs would send messages whose link is encrypted without it

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
WAITING = ("pending", "sending", "candidate")
outbox = sa.table(
    "authhost_email_outbox",
    sa.column("id", sa.Uuid()),
    sa.column("status", sa.String(16)),
    sa.column("context", sa.JSON(none_as_null=True)),
    sa.column("sealed_link", sa.Text()),
    sa.column("expires_at", TIME),
)


def upgrade() -> None:
    for column in (
        sa.Column("sealed_link", sa.Text()),
        sa.Column("expires_at", TIME),
        sa.Column("user_id", sa.Uuid()),
    ):
        op.add_column("authhost_email_outbox", column)
    op.create_index("ix_authhost_email_outbox_expires", "authhost_email_outbox", ["expires_at"])
    if op.get_context().as_sql:
        # A script cannot read JSON: waiting messages keep their link, as below, but no time when it ends.
        done = outbox.c.status.not_in(WAITING)
        op.execute(sa.update(outbox).where(done, outbox.c.context.is_not(None)).values(context=sa.null()))
        return
    connection = op.get_bind()
    # Read as text: a row that is not valid JSON must not stop the upgrade.
    found = sa.select(outbox.c.id, outbox.c.status, sa.cast(outbox.c.context, sa.Text()))
    for identifier, status, text in connection.execute(found.where(outbox.c.context.is_not(None))).all():
        try:
            context = json.loads(text)
            expires = datetime.fromisoformat(context["expires"]) if context.get("expires") else None
        except (ValueError, TypeError, AttributeError):
            continue
        if not context.get("link"):
            continue
        values = {"expires_at": expires} if status in WAITING else {"context": None}
        connection.execute(sa.update(outbox).where(outbox.c.id == identifier).values(values))


def downgrade() -> None:
    unreadable = outbox.c.sealed_link.is_not(None)
    op.get_bind().execute(sa.update(outbox).where(unreadable).values(status="cancelled", context=None))
    op.drop_index("ix_authhost_email_outbox_expires", "authhost_email_outbox")
    for name in ("sealed_link", "expires_at", "user_id"):
        op.drop_column("authhost_email_outbox", name)
