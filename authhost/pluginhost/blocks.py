"""The plugins that operators have blocked at run time, as the database has them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from authhost.store import statements
from authhost.store.database import Database


class Block(NamedTuple):
    """A plugin that is blocked at run time."""

    plugin: str
    since: datetime
    by: str
    """The name of the operator, or the identifier of the user, who has blocked it."""
    reason: str

    def __str__(self) -> str:
        return f"blocked at run time since {self.since:%Y-%m-%dT%H:%M:%SZ} by {self.by}: {self.reason}"


def read_blocks(database: Database) -> dict[str, Block]:
    """Return the blocked plugins by name, also those that this host does not have.

    Raises ``SQLAlchemyError`` and `ConfigurationError` if the database cannot be read.
    """
    rows = database.read(statements.BLOCKED_PLUGINS, {})
    return {row.plugin: Block(row.plugin, row.since, row.blocked_by, row.reason) for row in rows}
