"""Searches the trail page by page, so the memory use does not depend on the number of records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import ColumnElement, Select, String, cast, func, select, union_all

from authhost_audit.digests import json_value
from authhost_audit.rows import all_rows
from authhost_audit.tables import event_table
from authhost_audit.uuid7 import SMALLEST, lower_bound
from authhost_audit.vocabulary import TOP_COLUMNS

PAGE_SIZE = 5000
"""Records that are read at once."""
Order = Literal["newest first", "oldest first"]
Record = dict[str, Any]
COLUMNS = tuple(column.name for column in event_table.columns if column.name != "salt")


@dataclass(frozen=True, slots=True)
class Query:
    """The criteria of a search. A criterion that is None matches every record."""

    user_id: UUID | None = None
    actor_id: UUID | None = None
    event: str | None = None
    outcome: str | None = None
    reason: str | None = None
    ip_address: str | None = None
    provider: str | None = None
    request_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    identifiers: tuple[str, ...] | None = None
    """Digests of a username or address that was typed (see ``Host.identifier_digests``)."""
    user_agent: str | None = None
    """A part of the user agent."""

    def statement(self, order: Order, limit: int | None, *also: ColumnElement[bool]) -> Select[Any]:
        """Return the SELECT statement, with ``also`` as additional conditions.

        Identifiers sort by time, so a range of time is a range of the primary key.
        """

        def ordered(statement: Select[Any], identifier: ColumnElement[UUID]) -> Select[Any]:
            first = identifier.desc() if order == "newest first" else identifier
            return statement.order_by(first).limit(limit)

        table = event_table.c
        found = ordered(select(event_table).where(*self._conditions(), *also), table.id)
        if self.user_id is None:
            return found
        # Two statements, each with its own index: one statement with OR would read every record.
        affected = found.where(table.user_id == self.user_id).subquery()
        acting = found.where(
            table.actor_id == self.user_id, table.user_id.is_distinct_from(self.user_id)
        ).subquery()
        either = union_all(select(affected), select(acting)).subquery()
        return ordered(select(either), either.c.id)

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        table = event_table.c
        for name in ("actor_id", "event", "outcome", "reason", "ip_address", "provider", "request_id"):
            value = getattr(self, name)
            if value is not None:
                yield table[name] == value
        if self.identifiers is not None:
            yield table.identifier.in_(self.identifiers)
        if self.user_agent is not None:
            yield table.user_agent.contains(self.user_agent, autoescape=True)
        if self.since is not None:
            yield table.id >= lower_bound(self.since)
        if self.until is not None:
            yield table.id < lower_bound(self.until)


def search(host: Host, query: Query, *, newest: int | None = None) -> Iterator[Record]:
    """Yield records ordered by time: all of them, or the last ``newest``."""
    if newest is not None:
        rows = _rows(host, query.statement("newest first", newest))
        yield from (record_of(row) for row in reversed(rows))
        return
    after = SMALLEST
    while True:
        rows = _rows(host, query.statement("oldest first", PAGE_SIZE, event_table.c.id > after))
        yield from (record_of(row) for row in rows)
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1]["id"]


def count(host: Host, query: Query, at_most: int) -> int:
    """Return the number of records that ``query`` matches. Stops counting at ``at_most``."""
    found = query.statement("newest first", at_most).subquery()
    with host.reader.connect() as connection:
        number: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return number


def top(host: Host, query: Query, by: str, at_most: int) -> list[tuple[str, int]]:
    """Return the most frequent values of ``by`` (a key of `TOP_COLUMNS`), each with its number of records.

    Records without a value are not counted.
    """
    found = query.statement("newest first", None).subquery()
    value, number = found.c[TOP_COLUMNS[by]], func.count()
    statement = select(value, number).where(value.is_not(None)).group_by(value)
    with host.reader.connect() as connection:
        rows = connection.execute(statement.order_by(number.desc(), value).limit(at_most)).all()
    return [(str(each), count) for each, count in rows]


def find_records(host: Host, digits: str, at_most: int) -> list[Record]:
    """Return the first ``at_most`` records whose identifier begins with ``digits`` (hexadecimal)."""
    table = event_table.c
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    rows = _rows(host, Query().statement("oldest first", at_most, table.id >= first, table.id <= last))
    return [record_of(row) for row in rows]


def find_users(host: Host, part: str, at_most: int) -> list[UUID]:
    """Return the users in the trail whose identifier begins with ``part`` (hexadecimal digits).

    If there is none, those whose identifier ends with it: this reads all entries of the indexes
    by user. Returns at most ``at_most`` users.
    """

    def begins(column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return column.between(UUID(part.ljust(32, "0")), UUID(part.ljust(32, "f")))

    def ends(column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return func.lower(func.replace(cast(column, String(36)), "-", "")).like(f"%{part}")

    found: set[UUID] = set()
    with host.reader.connect() as connection:
        for matches in (begins, ends):
            for column in (event_table.c.user_id, event_table.c.actor_id):
                users = select(column).where(matches(column)).distinct().limit(at_most)
                found.update(connection.execute(users).scalars())
            if found:
                break
    return sorted(found)[:at_most]


def reason_exists(host: Host, reason: str) -> bool:
    """Return whether a record with this reason exists."""
    with host.reader.connect() as connection:
        any_record = select(event_table.c.id).where(event_table.c.reason == reason).limit(1)
        return connection.execute(any_record).first() is not None


def _rows(host: Host, statement: Select[Any]) -> list[dict[str, Any]]:
    with host.reader.connect() as connection:
        return all_rows(connection, statement)


def record_of(row: Mapping[str, Any]) -> Record:
    """Return a row as a record: a dictionary with JSON values only."""
    record = {name: json_value(row[name]) for name in COLUMNS}
    for name in ("data", "changes"):
        if record[name] is not None:
            record[name] = json.loads(record[name])
    return record
