"""Alembic, for authhost's tables and for those of each plugin.

Each has a linear history and a version table of its own, so that a plugin can
be installed and removed without touching the others.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Engine

from authhost.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

CORE = "core"
CORE_MIGRATIONS = "authhost.store.migrations.versions"


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

    Raises `ConfigurationError` where the database is at a revision that the
    installed version does not know, or where the revisions are no line.
    """
    from alembic.migration import MigrationContext

    found = {}
    with engine.connect() as connection:
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


def upgrade(engine: Engine, packages: Mapping[str, str]) -> None:
    """Bring every history to its newest revision; raises as `current` does, before anything is changed."""
    from alembic import command

    late = [name for name, state in current(engine, packages).items() if not state.current]
    for name in late:
        with _history(name, packages[name]) as (config, _):
            config.attributes.update(engine=engine, version_table=_version_table(name))
            command.upgrade(config, "head")


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
