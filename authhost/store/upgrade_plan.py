"""What an upgrade of the database would do, as a list or as a script, and what former ones have done."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Engine, Executable, StaticPool, create_engine

from authhost.errors import ConfigurationError
from authhost.store.applied_migrations import Migration, applied, time_of_script
from authhost.store.migrate import (
    State,
    current,
    describe,
    open_history,
    quiet,
    recorder_of,
    version_table,
)
from authhost.store.sqlite import sqlite_file

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationInfo


class Entry(NamedTuple):
    """A migration, and whether and when it was applied."""

    migration: Migration
    is_applied: bool
    applied_at: datetime | None
    """None if it was not applied, or before there was a list."""


def history(engine: Engine, packages: Mapping[str, str]) -> list[Entry]:
    """Return all migrations, in the order of their histories. Raises the errors of `migrate.current`."""
    engine = _readable(engine)
    states = current(engine, packages)
    with engine.connect() as connection:
        stored = {(row.name, row.revision): row for row in applied(connection, packages)}
    found: list[Entry] = []
    for name, state in states.items():
        waiting = {each.revision for each in _after(name, packages[name], state)}
        for each in _all(name, packages[name]):
            row = stored.pop((name, each.revision), None)
            time = row.applied_at if row is not None else None
            found.append(Entry(each, each.revision not in waiting, time))
    for row in stored.values():  # of a later version
        migration = Migration(row.name, row.revision, row.what, row.compatible_from)
        found.append(Entry(migration, True, row.applied_at))
    return found


def pending(engine: Engine, packages: Mapping[str, str]) -> list[Migration]:
    """Return the migrations that `upgrade` would apply, in their order. Raises the errors of `current`."""
    states = current(_readable(engine), packages)
    return [each for name, state in states.items() for each in _after(name, packages[name], state)]


def script(engine: Engine, packages: Mapping[str, str]) -> str:
    """Return the statements that `upgrade` would send, as a script for the client of the database.

    Raises the errors of `current`, and `ConfigurationError` for a migration that has to read the database.
    """
    output, dialect = io.StringIO(), engine.dialect.name
    engine = _readable(engine)
    states = current(engine, packages)
    with engine.connect() as connection:
        recorder = recorder_of(connection, states)

    def add(name: str, step: MigrationInfo) -> list[Executable]:
        recorder.add(describe(name, step.up_revision))
        return list(recorder.statements(time_of_script(dialect)))

    for name, state in states.items():
        if state.current:
            continue
        output.write(f"-- {name}: from {state.revision or 'nothing'} to {state.newest}\n\n")
        with quiet(), open_history(name, packages[name]) as (config, _):
            from alembic import command
            from alembic.util import CommandError

            config.attributes.update(
                dialect=dialect, output=output, version_table=version_table(name), applied=partial(add, name)
            )
            try:
                command.upgrade(config, f"{state.revision or 'base'}:head", sql=True)
            except (AttributeError, CommandError) as error:
                raise ConfigurationError(
                    f"a migration of {name} reads the database, so that it cannot be written as a script; "
                    "apply it with `authhost db upgrade`"
                ) from error
    text = output.getvalue()
    return f"BEGIN;\n\n{text}COMMIT;\n" if text else ""


def _readable(engine: Engine) -> Engine:
    """Return the engine, or an empty database if it is an SQLite file that does not exist yet."""
    if engine.dialect.name != "sqlite" or sqlite_file(engine.url.database or "").exists():
        return engine
    return create_engine("sqlite://", poolclass=StaticPool)


def _all(name: str, package: str) -> list[Migration]:
    """Return the migrations of a history, in their order."""
    with quiet(), open_history(name, package) as (_, directory):
        return [describe(name, each) for each in reversed(list(directory.walk_revisions()))]


def _after(name: str, package: str, state: State) -> Iterator[Migration]:
    """Yield the migrations of a history that follow the revision of the database, in their order."""
    if state.current:
        return
    with quiet(), open_history(name, package) as (_, directory):
        found = directory.iterate_revisions(state.newest, state.revision or "base")
        yield from reversed([describe(name, each) for each in found])
