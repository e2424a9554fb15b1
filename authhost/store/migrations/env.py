"""Run by Alembic: applies one history, on the connection that `authhost.store.migrate` passes."""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

attributes = context.config.attributes
connection = attributes["connection"]


def on_version_apply(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    """Commit the revision on MariaDB, which commits DDL at once: a rollback would undo only the revision."""
    attributes["applied"](step)
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.commit()


if not connection.in_transaction():
    connection.begin()  # otherwise Alembic begins a transaction, which must not be committed in between
context.configure(
    connection=connection,
    version_table=attributes["version_table"],
    transactional_ddl=True,
    on_version_apply=on_version_apply,
)
with context.begin_transaction():
    context.run_migrations()
