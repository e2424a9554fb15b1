"""Hosts for tests: a clock that a test sets, a fast password hash and no rate limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy.engine import make_url

from authhost.host import AuthHost
from authhost.settings import Settings
from authhost.store.applied_migrations import Migration
from authhost.testing.database import drop_all_tables
from authhost.testing.kept_tables import delete_rows, remember_tables

PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
DRAIN_SECONDS = 10.0
"""How long a test waits for jobs in the background."""
CHEAP_HASH: Mapping[str, Any] = {
    "argon2__time_cost": 1,
    "argon2__memory_cost": 8,
    "argon2__parallelism": 1,
}
"""Options of passlib for the fastest argon2id hash. Only for tests, since it protects no password."""
MAX_SLOWNESS = timedelta(seconds=20), timedelta(hours=1)
"""How slow a clock may be, since the test runs slowly. A slower one was set by the test."""


class Clock:
    """A clock for a host. Its time changes only when a test changes it.

    It starts at the current time by default, since the tokens of a provider
    contain the time of the provider's own clock. `catch_up` is called before each
    social login.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.now = start or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def catch_up(self) -> None:
        """Set a clock that is slow by up to an hour to the current time.

        On a slow machine the provider's tokens would otherwise come from the future.
        """
        late = datetime.now(UTC) - self.now
        if MAX_SLOWNESS[0] < late < MAX_SLOWNESS[1]:
            self.now += late

    def forward(self, **by: float) -> None:
        """Move the clock forward by the arguments of `datetime.timedelta`, such as ``minutes=5``."""
        self.now += timedelta(**by)


class TemplateDatabaseHost(AuthHost):
    """A host that applies migrations only once if tests open many hosts with the same ones.

    Migrations take most of the time that opening a host takes. A new SQLite file is a copy of one
    that the same migrations have upgraded. With ``empty=True`` all tables of a server's database
    are dropped first; if the same migrations have made them in this process, and they are
    unchanged, their rows are deleted instead. Raises ``ValueError`` if ``empty`` is True on SQLite.
    """

    _templates: ClassVar[dict[Hashable, bytes]] = {}

    def __init__(self, settings: Settings, *, empty: bool = False, **options: Any) -> None:
        if empty and make_url(settings.database_url).get_backend_name() == "sqlite":
            raise ValueError("empty=True is for the database of a server; for SQLite name a new file")
        self._empty = empty
        super().__init__(settings, **options)

    def upgrade_database(self) -> list[Migration]:
        """Apply all migrations. Returns an empty list if their tables are copied or kept."""
        if self._empty:
            self._empty = False
            return self._upgrade_empty()
        file = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        if file is None or file.exists():
            return super().upgrade_database()
        migrations = self._migration_files()
        if migrations not in self._templates:
            super().upgrade_database()
            with closing(sqlite3.connect(file)) as connection:
                self._templates[migrations] = connection.serialize()
        else:
            file.write_bytes(self._templates[migrations])
        return []

    def _upgrade_empty(self) -> list[Migration]:
        url, migrations = self.settings.database_url, self._migration_files()
        if delete_rows(url, migrations):
            return []
        drop_all_tables(url)
        applied = super().upgrade_database()
        remember_tables(url, migrations)
        return applied

    def _migration_files(self) -> Hashable:
        return tuple(map(_migration_files, self.migrations.items()))


def _migration_files(history: tuple[str, str]) -> Hashable:
    """The files of a migration history with their times, since an author may edit them between two hosts."""
    name, package = history
    with as_file(files(package)) as folder:
        return name, tuple(sorted((str(each), each.stat().st_mtime_ns) for each in folder.glob("*.py")))


def drain(host: AuthHost, seconds: float = DRAIN_SECONDS) -> bool:
    """Wait for the jobs of ``in_background`` of a host, but not for those that hang.

    Returns whether all of them have ended. `Browser` calls it after each flow, and the
    fixture ``auth_request`` at its end.
    """
    return host.services.background.wait(seconds, ignore_hanging=True)


def open_host(
    database_url: str,
    plugins: Mapping[str, object],
    /,
    *,
    clock: Callable[[], datetime],
    discover: bool = False,
    empty: bool = False,
    **settings: Any,
) -> AuthHost:
    """Open a host on ``database_url`` and apply its migrations.

    ``plugins`` are plugin objects by name; ``discover`` adds the installed
    plugins. ``empty=True`` empties the database of a server first: tables that the
    same migrations have made in this process are kept without their rows, and otherwise
    dropped. ``settings`` are fields of `Settings`; they override the defaults
    for tests. Raises `ConfigurationError`, or ``ValueError`` for ``empty`` on SQLite.
    """
    values = {
        "secret_key": "of-the-tests-" * 4,
        "database_url": database_url,
        "rate_limits": False,
        "password_hash_options": CHEAP_HASH,
        "blocked_plugins_refresh": 0,  # no statement of a thread among those that a test counts
        "password_hash_wait": 60,  # on a slow machine many flows at once would be refused as busy
        **settings,
    }
    return TemplateDatabaseHost(
        Settings(**values),
        plugins=plugins,
        discover=discover,
        clock=clock,
        upgrade_database=True,
        empty=empty,
    )
