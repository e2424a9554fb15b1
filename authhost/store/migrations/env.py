"""Run by Alembic: applies one history on the engine that `authhost.store.migrate` hands over."""

from alembic import context

attributes = context.config.attributes
with attributes["engine"].begin() as connection:
    context.configure(
        connection=connection, version_table=attributes["version_table"], transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()
