"""The migrations that were applied to a database: when, and which programs work with it since.

A migration states in ``compatible_from`` the oldest revision whose programs keep working while it is
applied and afterwards. It is stored in the database, because an older program does not have
the newer migration: so its processes can be started again during an upgrade.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, inspect, literal_column, select

from authhost.store.tables import migrations

CORE_REVISION = "0009"
"""The revision of authhost that creates the table."""
NOW = {
    "postgresql": "CURRENT_TIMESTAMP",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "mysql": "UTC_TIMESTAMP(6)",
    "mariadb": "UTC_TIMESTAMP(6)",
}
"""The current time in UTC, in a script that somebody runs later."""


class Migration(NamedTuple):
    """One migration."""

    name: str
    """The history: ``core``, or a plugin's name."""
    revision: str
    what: str
    """The first line of its docstring."""
    compatible_from: str | None
    """The oldest revision whose programs work with it; None if it says nothing."""


class Recorder:
    """Stores what is applied, as soon as the table exists.

    ``dropped`` are the histories whose rows go before: their tables were dropped since.
    """

    def __init__(self, *, exists: bool, dropped: Iterable[str]) -> None:
        self._exists = exists
        self._dropped = {*dropped}
        self._waiting: list[Migration] = []

    def add(self, migration: Migration) -> None:
        """Add a migration that was just applied."""
        self._waiting.append(migration)
        self._exists |= (migration.name, migration.revision) == ("core", CORE_REVISION)

    def statements(self, now: ColumnElement[Any] | datetime) -> Iterator[Any]:
        """Yield the statements that store what was added since the last call."""
        if not self._exists:
            return
        for each in self._waiting:
            if each.name in self._dropped:
                self._dropped.remove(each.name)
                yield delete(migrations).where(migrations.c.name == each.name)
            values = {
                "name": each.name,
                "revision": each.revision,
                "what": each.what[:255],
                "compatible_from": each.compatible_from,
                "applied_at": now,
            }
            yield insert(migrations).values(values)
        self._waiting.clear()


def time_of_script(dialect: str) -> ColumnElement[Any]:
    """Return the time at which a script is run."""
    return literal_column(NOW[dialect])


def table_exists(connection: Connection) -> bool:
    """Return whether the table exists: it does not in databases of earlier versions."""
    return inspect(connection).has_table(migrations.name)


def applied(connection: Connection, names: Iterable[str]) -> list[Any]:
    """Return the stored rows of some histories, in the order in which they were applied."""
    if not table_exists(connection):
        return []
    rows = select(migrations).where(migrations.c.name.in_(list(names)))
    return list(connection.execute(rows.order_by(migrations.c.applied_at, migrations.c.revision)).all())


def works_with(connection: Connection, name: str, revision: str, known: Collection[str]) -> bool:
    """Return whether a program that knows the revisions ``known`` works with a newer one.

    Every migration that it does not know must allow it: a later one cannot undo what an earlier one did.
    """
    if not table_exists(connection):
        return False
    columns = select(migrations.c.revision, migrations.c.compatible_from)
    unknown = columns.where(migrations.c.name == name, migrations.c.revision.not_in(known))
    found = connection.execute(unknown).all()
    return revision in {row.revision for row in found} and all(row.compatible_from in known for row in found)
