"""Searching and exporting, page by page: ten million records take no more memory than ten."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select, union_all

from authhost_audit.digests import plain
from authhost_audit.rows import all_rows
from authhost_audit.sealing import BEGINNING, floor
from authhost_audit.tables import event_table
from authhost_audit.vocabulary import API_ACTIVITY, AUTHENTICATION, meaning

PAGE = 5000
Order = Literal["newest first", "oldest first"]
Record = dict[str, Any]
COLUMNS = tuple(column.name for column in event_table.columns if column.name != "salt")


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; what is None does not matter."""

    user_id: UUID | None = None
    event: str | None = None
    outcome: str | None = None
    reason: str | None = None
    ip_address: str | None = None
    provider: str | None = None
    request_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    identifiers: tuple[str, ...] | None = None
    """Digests of a name or address that was typed (`Host.identifier_digests`)."""

    def statement(self, order: Order, limit: int, *also: ColumnElement[bool]) -> Select[Any]:
        """As SQL. Identifiers are ordered by time, so a span of time is a span of the primary key."""

        def ordered(found: Select[Any], identifier: ColumnElement[UUID]) -> Select[Any]:
            first = identifier.desc() if order == "newest first" else identifier
            return found.order_by(first).limit(limit)

        table = event_table.c
        found = ordered(select(event_table).where(*self._conditions(), *also), table.id)
        if self.user_id is None:
            return found
        # By and about, each by its own index; as one OR it would be a look at every record.
        about = found.where(table.user_id == self.user_id).subquery()
        by = found.where(
            table.actor_id == self.user_id, table.user_id.is_distinct_from(self.user_id)
        ).subquery()
        either = union_all(select(about), select(by)).subquery()
        return ordered(select(either), either.c.id)

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        table = event_table.c
        for name in ("event", "outcome", "reason", "ip_address", "provider", "request_id"):
            wanted = getattr(self, name)
            if wanted is not None:
                yield table[name] == wanted
        if self.identifiers is not None:
            yield table.identifier.in_(self.identifiers)
        if self.since is not None:
            yield table.id >= floor(self.since)
        if self.until is not None:
            yield table.id < floor(self.until)


def search(host: Host, query: Query, *, newest: int | None = None) -> Iterator[Record]:
    """Records in the order of time: the ``newest`` so many, or all."""
    if newest is not None:
        rows = _rows(host, query.statement("newest first", newest))
        yield from (shown(row) for row in reversed(rows))
        return
    after = BEGINNING
    while True:
        rows = _rows(host, query.statement("oldest first", PAGE, event_table.c.id > after))
        yield from (shown(row) for row in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


def count(host: Host, query: Query, at_most: int) -> int:
    """Return how many records ``query`` finds; counts no further than ``at_most``."""
    found = query.statement("newest first", at_most).subquery()
    with host.reader.connect() as connection:
        number: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return number


def users(host: Host, part: str, at_most: int) -> list[UUID]:
    """Return the users of the trail whose identifier begins or ends with ``part``, hexadecimal digits.

    Looks at every record, by the indexes of users.
    """
    found: set[UUID] = set()
    with host.reader.connect() as connection:
        for column in (event_table.c.user_id, event_table.c.actor_id):
            digits = func.lower(func.replace(cast(column, String(36)), "-", ""))
            like = or_(digits.like(f"{part}%"), digits.like(f"%{part}"))
            found.update(connection.execute(select(column).where(like).distinct().limit(at_most)).scalars())
    return sorted(found)[:at_most]


def knows_reason(host: Host, reason: str) -> bool:
    """Return whether a record has this reason."""
    with host.reader.connect() as connection:
        one = select(event_table.c.id).where(event_table.c.reason == reason).limit(1)
        return connection.execute(one).first() is not None


def _rows(host: Host, statement: Select[Any]) -> list[dict[str, Any]]:
    with host.reader.connect() as connection:
        return all_rows(connection, statement)


def shown(row: Mapping[str, Any]) -> Record:
    """A record as values of JSON."""
    record = {name: plain(row[name]) for name in COLUMNS}
    for name in ("data", "changes"):
        if record[name] is not None:
            record[name] = json.loads(record[name])
    return record


# Forms of export.


def as_json(record: Record) -> str:
    """One line of JSON."""
    return json.dumps(record, ensure_ascii=False)


def as_csv(record: Record) -> str:
    """One line of CSV (RFC 4180), all in quotes; a formula is shown by a spreadsheet, not run."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="", quoting=csv.QUOTE_ALL)
    writer.writerow([_cell(record[name]) for name in COLUMNS])
    return buffer.getvalue()


def csv_header() -> str:
    """The names of the columns."""
    return ",".join(COLUMNS)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_ocsf(record: Record) -> Record:
    """An event of the Open Cybersecurity Schema Framework, version 1.3."""
    words = meaning(record["event"], record["reason"])
    refused = record["outcome"] == "refused"
    time = datetime.fromisoformat(record["time"])
    event: Record = {
        "class_uid": words.ocsf_class,
        "category_uid": words.ocsf_class // 1000,
        "activity_id": words.ocsf_activity,
        "type_uid": words.ocsf_class * 100 + words.ocsf_activity,
        "time": int(time.timestamp() * 1000),
        "severity_id": 2 if refused else 1,
        "status_id": 2 if refused else 1,
        "status_detail": record["reason"],
        "metadata": {
            "version": "1.3.0",
            "uid": record["id"],
            "correlation_uid": record["request_id"],
            "event_code": record["event"],
            "product": {"name": "authhost", "vendor_name": "authhost", "version": record["version"]},
        },
        "user": {"uid": record["user_id"] or "unknown"},
        "actor": {"user": {"uid": record["actor_id"] or "unknown"}},
        "src_endpoint": {"ip": record["ip_address"]},
        "unmapped": {
            name: record[name]
            for name in (
                "flow",
                "session_ref",
                "identifier",
                "uid",
                "plugin",
                "changes",
                "data",
                "user_agent",
            )
            if record[name]
        },
    }
    if words.ocsf_class == AUTHENTICATION:
        event["auth_protocol"] = record["provider"] or record["method"] or "unknown"
        event["service"] = {"name": "authhost"}
    if words.ocsf_class == API_ACTIVITY:
        event["api"] = {"operation": record["event"]}
    return event


def as_owasp(record: Record) -> Record:
    """An event of the OWASP logging vocabulary."""
    words = meaning(record["event"], record["reason"])
    who = record["user_id"] or record["identifier"] or ""
    return {
        "datetime": record["time"],
        "appid": "authhost",
        "event": f"{words.owasp}:{who}",
        "level": "WARN" if record["outcome"] == "refused" else "INFO",
        "description": record["reason"] or record["event"],
        "useragent": record["user_agent"],
        "source_ip": record["ip_address"],
    }
