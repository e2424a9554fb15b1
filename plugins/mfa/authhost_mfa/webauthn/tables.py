"""The table of used challenges."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, LargeBinary, MetaData, Table
from sqlalchemy.dialects import mysql

USED_CHALLENGE_TABLE = "authhost_mfa_used_challenge"


def add_used_challenge_table(metadata: MetaData, **options: Any) -> Table:
    """Add the table of used challenges to the plugin's tables, and return it.

    The digest of a challenge is its key, so that two requests cannot both use it. ``options`` are
    those of the plugin's other tables. A migration creates it; `delete_expired_challenges` empties it.
    """
    digest = LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb")
    time = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    return Table(
        USED_CHALLENGE_TABLE,
        metadata,
        Column("digest", digest, primary_key=True),
        Column("expires_at", time, nullable=False, index=True),
        **options,
    )
