"""Alembic, for authhost's tables and for those of each plugin.

authhost and each plugin have a separate linear history and version table. So a
plugin can be installed and removed without changing the others.
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
_running_alembic: ContextVar[bool] = ContextVar("authhost runs Alembic", default=False)


class State(NamedTuple):
    """The revision of a history in a database, and the newest one that is installed."""

    revision: str | None
    newest: str | None

    @property
    def current(self) -> bool:
        """Whether the database has the newest revision."""
        return self.revision == self.newest


def _version_table(name: str) -> str:
    return f"authhost_{name}_version"


def histories(plugins: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the packages of all migrations by name, authhost's own first."""
    return {CORE: CORE_MIGRATIONS, **dict(plugins)}


def current(engine: Engine, packages: Mapping[str, str]) -> dict[str, State]:
    """Return the state of each history.

    Takes one statement and does not use Alembic if all histories are at their newest
    revision. Raises `ConfigurationError` if the database has a revision that the
    installed version does not know, or if a history is not linear.
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
    """The history: ``core``, or a plugin's name."""
    revision: str
    what: str
    """The first line of the migration's docstring."""


def _log_waiting() -> None:
    log.warning("another process is upgrading the database, or writes to it; waiting until it has finished")


def upgrade(
    engine: Engine,
    packages: Mapping[str, str],
    *,
    waiting: Callable[[], None] = _log_waiting,
    on_applied: Callable[[Applied], None] = lambda migration: None,
) -> list[Applied]:
    """Upgrade every history to its newest revision; return the migrations that were applied, in order.

    If several processes do so, one applies the migrations, and the others wait
    (``waiting`` is called once) and then have nothing to do. ``on_applied`` is called
    after each migration, before the commit. SQLite and PostgreSQL
    apply all migrations or none. MariaDB cannot roll back DDL, so there each
    migration counts. An SQLite file is created. Raises the errors of `current`,
    before anything is changed.
    """
    create_sqlite_file(engine.url)
    if all(state.current for state in current(reading(engine), packages).values()):
        return []
    applied: list[Applied] = []

    def add(name: str, step: MigrationInfo) -> None:
        applied.append(_applied(name, step))
        on_applied(applied[-1])

    with locked(engine, waiting) as connection:
        late = [name for name, state in _states(connection, packages).items() if not state.current]
        for name in late:
            with _quiet(), _history(name, packages[name]) as (config, _):
                from alembic import command

                config.attributes.update(
                    connection=connection,
                    version_table=_version_table(name),
                    applied=lambda step, name=name: add(name, step),
                )
                command.upgrade(config, "head")
    return applied


def _applied(name: str, step: MigrationInfo) -> Applied:
    script: Any = step.up_revision  # None for a downgrade
    return Applied(name, script.revision, script.doc)


@contextmanager
def _quiet() -> Iterator[None]:
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
