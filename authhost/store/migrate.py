"""Alembic, for authhost's tables and for those of each plugin.

Each has a linear history and a version table of its own, so that a plugin can
be installed and removed without touching the others.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path

from sqlalchemy import Engine

CORE = "core"
CORE_MIGRATIONS = "authhost.store.migrations.versions"


def _version_table(name: str) -> str:
    return f"authhost_{name}_version"


def histories(plugins: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The packages of all migrations by name, authhost's own first."""
    return {CORE: CORE_MIGRATIONS, **dict(plugins)}


def current(engine: Engine, packages: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """For each history the revision of the database and the newest one."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    found = {}
    with engine.connect() as connection:
        for name, package in packages.items():
            context = MigrationContext.configure(connection, opts={"version_table": _version_table(name)})
            with as_file(files("authhost.store.migrations")) as home, as_file(files(package)) as versions:
                script = ScriptDirectory(str(home), version_locations=[str(versions)])
                found[name] = (context.get_current_revision(), script.get_current_head())
    return found


def upgrade(engine: Engine, packages: Mapping[str, str]) -> None:
    """Bring every history to its newest revision."""
    from alembic import command
    from alembic.config import Config

    for name, package in packages.items():
        with as_file(files("authhost.store.migrations")) as home, as_file(files(package)) as versions:
            config = Config(stdout=io.StringIO())
            config.set_main_option("script_location", str(Path(home)).replace("%", "%%"))
            config.set_main_option("version_locations", str(Path(versions)).replace("%", "%%"))
            config.set_main_option("path_separator", "newline")
            config.attributes.update(engine=engine, version_table=_version_table(name))
            command.upgrade(config, "head")
