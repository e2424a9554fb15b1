"""Alembic, for authhost's tables and for those of each plugin.

authhost and each plugin have a separate linear history and version table. So a
plugin can be installed and removed without changing the others.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Engine, Executable, column, literal_column, select, table, union_all
from sqlalchemy.exc import DBAPIError

from authhost.errors import ConfigurationError
from authhost.store.applied_migrations import (
    Migration,
    Recorder,
    applied,
    table_exists,
    works_with,
)
from authhost.store.engine import reading
from authhost.store.locking import locked
from authhost.store.revisions import newest_revision
from authhost.store.sqlite import create_sqlite_file

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationInfo
    from alembic.script import ScriptDirectory

log = logging.getLogger("authhost.migrate")

CORE = "core"
CORE_MIGRATIONS = "authhost.store.migrations.versions"
ALEMBIC_LOGGERS = ("alembic.runtime.migration", "alembic.runtime.plugins")
_running_alembic: ContextVar[bool] = ContextVar("authhost runs Alembic", default=False)


class State(NamedTuple):
    """The revision of a history in a database, and the newest one that is installed."""

    revision: str | None
    newest: str | None
    newer: bool = False
    """Whether a later version has upgraded the database, and this one works with it."""

    @property
    def current(self) -> bool:
        """Whether this version works with the database as it is."""
        return self.newer or self.revision == self.newest


def version_table(name: str) -> str:
    """Return the table that has the revision of a history."""
    return f"authhost_{name}_version"


def name_of_history(table: str) -> str | None:
    """Return the history whose revision is in a table of this name, or None."""
    found = re.fullmatch("authhost_(.+)_version", table)
    return found[1] if found else None


def histories(plugins: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the packages of all migrations by name, authhost's own first."""
    return {CORE: CORE_MIGRATIONS, **dict(plugins)}


def current(engine: Engine, packages: Mapping[str, str]) -> dict[str, State]:
    """Return the state of each history.

    Takes one statement and does not use Alembic if all histories are at their newest
    revision. Raises `ConfigurationError` if the database has a revision that the
    installed version does not know and does not work with, or if a history is not linear.
    """
    newest = {name: newest_revision(package) for name, package in packages.items()}
    with engine.connect() as connection:
        if newest and None not in newest.values() and _stored_revisions(connection, newest) == newest:
            return {name: State(revision, revision) for name, revision in newest.items()}
    with engine.connect() as connection:  # a new one: a failed statement may have ended the first
        return _states(connection, packages)


def _stored_revisions(connection: Connection, names: Iterable[str]) -> dict[str, str] | None:
    """Return the revision of each history in the database, read with one statement.

    Returns None if a table cannot be read, for instance because it does not exist, or
    if a table has several revisions.
    """
    ordered = list(names)
    tables = [table(version_table(name), column("version_num")) for name in ordered]
    rows = union_all(
        *(select(literal_column(str(number)), each.c.version_num) for number, each in enumerate(tables))
    )
    try:
        found = connection.execute(rows).all()
    except DBAPIError:
        return None
    revisions = {ordered[number]: revision for number, revision in found}
    return revisions if len(revisions) == len(found) else None


def _states(connection: Connection, packages: Mapping[str, str]) -> dict[str, State]:
    found = {}
    with quiet():
        from alembic.migration import MigrationContext

        for name, package in packages.items():
            context = MigrationContext.configure(connection, opts={"version_table": version_table(name)})
            with open_history(name, package) as (_, script):
                state = State(context.get_current_revision(), script.get_current_head())
                known = {each.revision for each in script.walk_revisions()}
            if state.revision is not None and state.revision not in known:
                if works_with(connection, name, state.revision, known):
                    found[name] = state._replace(newer=True)
                    continue
                raise ConfigurationError(
                    f"the database is newer than what is installed: {name} is at revision {state.revision}, "
                    f"and {state.newest} is the newest one here; install the version that upgraded it"
                )
            found[name] = state
    return found


def recorder_of(connection: Connection, states: Mapping[str, State]) -> Recorder:
    """Return what stores the migrations that are applied to a database with these states."""
    new = [name for name, state in states.items() if state.revision is None]
    dropped = {row.name for row in applied(connection, new)}
    return Recorder(exists=table_exists(connection), dropped=dropped)


def _log_waiting() -> None:
    log.warning("another process is upgrading the database, or writes to it; waiting until it has finished")


def upgrade(
    engine: Engine,
    packages: Mapping[str, str],
    *,
    waiting: Callable[[], None] = _log_waiting,
    on_applied: Callable[[Migration, float], None] = lambda migration, seconds: None,
) -> list[Migration]:
    """Upgrade every history to its newest revision; return the migrations that were applied, in order.

    If several processes do so, one applies the migrations, and the others wait
    (``waiting`` is called once) and then have nothing to do. ``on_applied`` is called
    after each migration, before the commit, with the seconds that it took. SQLite and PostgreSQL
    apply all migrations or none. MariaDB cannot roll back DDL, so there each
    migration counts. An SQLite file is created. Raises the errors of `current`,
    before anything is changed.
    """
    create_sqlite_file(engine.url)
    if all(state.current for state in current(reading(engine), packages).values()):
        return []
    done: list[Migration] = []
    started = 0.0

    def add(recorder: Recorder, name: str, step: MigrationInfo) -> list[Executable]:
        nonlocal started
        now = perf_counter()
        done.append(describe(name, step.up_revision))
        on_applied(done[-1], now - started)
        started = now
        recorder.add(done[-1])
        return list(recorder.statements(datetime.now(UTC)))

    with locked(engine, waiting) as connection:
        states = _states(connection, packages)
        recorder = recorder_of(connection, states)
        late = [name for name, state in states.items() if not state.current]
        started = perf_counter()
        for name in late:
            with quiet(), open_history(name, packages[name]) as (config, _):
                from alembic import command

                config.attributes.update(
                    connection=connection,
                    version_table=version_table(name),
                    applied=partial(add, recorder, name),
                )
                command.upgrade(config, "head")
    return done


def describe(name: str, found: Any) -> Migration:
    """Return what a migration says about itself; ``found`` is Alembic's ``Script``."""
    return Migration(name, found.revision, found.doc, getattr(found.module, "compatible_from", None))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Alembic's INFO messages out of the application's log: `upgrade` returns what was applied."""
    token = _running_alembic.set(True)
    for name in ALEMBIC_LOGGERS:
        logging.getLogger(name).addFilter(_drop_info)  # has no effect if it was added before
    try:
        yield
    finally:
        _running_alembic.reset(token)


def _drop_info(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or not _running_alembic.get()


@contextmanager
def open_history(name: str, package: str) -> Iterator[tuple[Config, ScriptDirectory]]:
    """Yield Alembic's configuration and migrations of a history; raises `ConfigurationError`."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    with as_file(files("authhost.store.migrations")) as home, as_file(files(package)) as versions:
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", str(Path(home)).replace("%", "%%"))
        config.set_main_option("version_locations", str(Path(versions)).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        script = ScriptDirectory.from_config(config)
        try:
            script.get_current_head()
        except KeyError as error:
            raise ConfigurationError(
                f"the migrations of {name} are broken: {error} is a down_revision, but no revision"
            ) from None
        except CommandError as error:
            raise ConfigurationError(f"the migrations of {name} are broken: {error}") from None
        yield config, script
