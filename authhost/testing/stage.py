"""A host to try a plugin on: a clock that is moved by hand, a cheap hash, no rate limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar

from authhost.host import AuthHost
from authhost.settings import Settings
from authhost.store.migrate import Applied

PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
CHEAP_HASH: Mapping[str, Any] = {
    "argon2__time_cost": 1,
    "argon2__memory_cost": 8,
    "argon2__parallelism": 1,
}
"""passlib's options: argon2id as fast as it goes. For tests alone."""


class Clock:
    """The host's clock. It stands still until it is told otherwise.

    It starts now by default, since a provider's tokens bear the time of its own clock.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.now = start or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        """Go forward, such as by ``minutes=5`` (the arguments of `datetime.timedelta`)."""
        self.now += timedelta(**by)


class StagedHost(AuthHost):
    """A host that copies a new SQLite file from one that was upgraded before, by the same migrations.

    Upgrading is most of what opening a host takes, and tests open hundreds.
    """

    _upgraded: ClassVar[dict[Hashable, bytes]] = {}

    def upgrade_database(self) -> list[Applied]:
        """Apply all migrations, or what they came to the last time."""
        file = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        if file is None or file.exists():
            return super().upgrade_database()
        migrations = tuple(map(_revisions, self.migrations.items()))
        if migrations not in self._upgraded:
            super().upgrade_database()
            with closing(sqlite3.connect(file)) as connection:
                self._upgraded[migrations] = connection.serialize()
        else:
            file.write_bytes(self._upgraded[migrations])
        return []


def _revisions(history: tuple[str, str]) -> Hashable:
    """The files of a history as they are now: an author may change them between two hosts."""
    name, package = history
    with as_file(files(package)) as folder:
        return name, tuple(sorted((str(each), each.stat().st_mtime_ns) for each in folder.glob("*.py")))


def open_host(
    database_url: str,
    plugins: Mapping[str, object],
    /,
    *,
    clock: Callable[[], datetime],
    discover: bool = False,
    **settings: Any,
) -> AuthHost:
    """A host over ``database_url`` with its migrations applied. ``settings`` are those of `Settings`.

    ``plugins`` are plugin objects by name; ``discover`` adds those that are installed.
    """
    given = {
        "secret_key": "of-the-tests-" * 4,
        "database_url": database_url,
        "rate_limits": False,
        "password_hash_options": CHEAP_HASH,
        **settings,
    }
    return StagedHost(
        Settings(**given), plugins=plugins, discover=discover, clock=clock, upgrade_database=True
    )
