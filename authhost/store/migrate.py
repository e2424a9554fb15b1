"""Alembic, for authhost's tables and for those of each plugin.

Each has a linear history and a version table of its own, so that a plugin can
be installed and removed without touching the others.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Engine, column, literal_column, select, table, union_all
from sqlalchemy.exc import DBAPIError

from authhost.errors import ConfigurationError
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
_ours: ContextVar[bool] = ContextVar("alembic is at work for authhost", default=False)


class State(NamedTuple):
    """Where a history stands in a database."""

    revision: str | None
    newest: str | None

    @property
    def current(self) -> bool:
        """Whether nothing is to be done."""
        return self.revision == self.newest


def _version_table(name: str) -> str:
    return f"authhost_{name}_version"


def histories(plugins: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The packages of all migrations by name, authhost's own first."""
    return {CORE: CORE_MIGRATIONS, **dict(plugins)}


def current(engine: Engine, packages: Mapping[str, str]) -> dict[str, State]:
    """Where each history stands.

    One statement, without Alembic, where each is at its newest revision. Raises
    `ConfigurationError` where the database is at a revision that the installed
    version does not know, or where the revisions are no line.
    """
    newest = {name: newest_revision(package) for name, package in packages.items()}
    with engine.connect() as connection:
        if newest and None not in newest.values() and _stored_revisions(connection, newest) == newest:
            return {name: State(revision, revision) for name, revision in newest.items()}
    with engine.connect() as connection:  # another one: a statement that failed may have ended the first
        return _states(connection, packages)


def _stored_revisions(connection: Connection, names: Iterable[str]) -> dict[str, str] | None:
    """Return the revision of each history in the database, read by one statement.

    None where a table cannot be read, such as one that is missing, and where one
    has several revisions.
    """
    ordered = list(names)
    tables = [table(_version_table(name), column("version_num")) for name in ordered]
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
    with _quiet():
        from alembic.migration import MigrationContext

        for name, package in packages.items():
            context = MigrationContext.configure(connection, opts={"version_table": _version_table(name)})
            with _history(name, package) as (_, script):
                state = State(context.get_current_revision(), script.get_current_head())
                known = {each.revision for each in script.walk_revisions()}
            if state.revision is not None and state.revision not in known:
                raise ConfigurationError(
                    f"the database is newer than what is installed: {name} is at revision {state.revision}, "
                    f"and {state.newest} is the newest one here; install the version that upgraded it"
                )
            found[name] = state
    return found


class Applied(NamedTuple):
    """One migration that was applied."""

    name: str
    """Whose history it is of: ``core``, or a plugin's name."""
    revision: str
    what: str
    """The first line of the migration's docstring."""


def _log_waiting() -> None:
    log.warning("another process is upgrading the database, or writes to it; waiting until it has finished")


def upgrade(
    engine: Engine, packages: Mapping[str, str], *, waiting: Callable[[], None] = _log_waiting
) -> list[Applied]:
    """Bring every history to its newest revision, and return what was applied, in order.

    One process at a time: the others wait (``waiting`` is called once), and find
    nothing left to do. On SQLite and PostgreSQL all is applied or nothing; on
    MariaDB, where DDL cannot be undone, migration by migration. An SQLite file
    is created. Raises as `current` does, before anything is changed.
    """
    create_sqlite_file(engine.url)
    if all(state.current for state in current(reading(engine), packages).values()):
        return []
    applied: list[Applied] = []
    with locked(engine, waiting) as connection:
        late = [name for name, state in _states(connection, packages).items() if not state.current]
        for name in late:
            with _quiet(), _history(name, packages[name]) as (config, _):
                from alembic import command

                config.attributes.update(
                    connection=connection,
                    version_table=_version_table(name),
                    applied=lambda step, name=name: applied.append(_applied(name, step)),
                )
                command.upgrade(config, "head")
    return applied


def _applied(name: str, step: MigrationInfo) -> Applied:
    script: Any = step.up_revision  # None where it is no upgrade
    return Applied(name, script.revision, script.doc)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Alembic's own lines out of the application's log: what it logs as INFO is told otherwise here."""
    token = _ours.set(True)
    for name in ALEMBIC_LOGGERS:
        logging.getLogger(name).addFilter(_drop_info)  # added once: adding it again does nothing
    try:
        yield
    finally:
        _ours.reset(token)


def _drop_info(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or not _ours.get()


@contextmanager
def _history(name: str, package: str) -> Iterator[tuple[Config, ScriptDirectory]]:
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
