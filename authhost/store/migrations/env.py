"""Run by Alembic: applies one history on the connection of `authhost.store.migrate`, or prints it."""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

attributes = context.config.attributes


def on_version_apply(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    """Store that it was applied.

    Commit on MariaDB, which commits DDL at once: a rollback would undo only what is stored.
    """
    for statement in attributes["applied"](step):
        ctx.execute(statement)
    if not ctx.as_sql and ctx.dialect.name in ("mysql", "mariadb"):
        attributes["connection"].commit()


if context.is_offline_mode():
    context.configure(
        dialect_name=attributes["dialect"],
        dialect_opts={"paramstyle": "named"},  # otherwise a percent sign is doubled, as for the driver
        version_table=attributes["version_table"],
        literal_binds=True,
        output_buffer=attributes["output"],
        transactional_ddl=False,  # the caller begins the transaction of all histories
        on_version_apply=on_version_apply,
    )
    context.run_migrations()
else:
    connection = attributes["connection"]
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
