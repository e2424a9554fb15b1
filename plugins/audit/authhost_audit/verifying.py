"""Looking for what was changed: every record against its leaf, every leaf against its batch, the chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.exc import DBAPIError

from authhost_audit import merkle
from authhost_audit.digests import (
    ERASED,
    GENESIS,
    canonical,
    head,
    header,
    leaf_data,
    personal_digest,
    record_digest,
)
from authhost_audit.keeping import PRUNED, statement
from authhost_audit.rows import all_rows, snapshot
from authhost_audit.sealing import BEGINNING, LATE, SKEW, ahead, floor, last_batch, made_at, reached, stamp
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import Keyring
from authhost_audit.tables import PERSONAL, batch_table, event_table, leaf_table
from authhost_audit.vocabulary import TRAIL

What = Literal["changed", "removed", "inserted", "reordered", "seal", "checkpoint"]
EVENTS = [column.label(f"its_{column.name}") for column in event_table.columns]
NAMES = {label.name: label.name.removeprefix("its_") for label in EVENTS}
KINDS = (*PRUNED, TRAIL)
ENDLESS = 2**128 - 1
MILLISECOND = timedelta(milliseconds=1)
PAGE = 20
"""Batches that are read at once."""


@dataclass(frozen=True, slots=True)
class Break:
    """Something that is not as it was sealed. ``record`` is None where a whole batch is meant."""

    what: What
    batch: int | None
    record: UUID | None
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that does not break the trail and that its owner should know."""

    batch: int | None
    why: str


class Pruning(NamedTuple):
    """The record of one pruning: by class the identifier before which it deleted, and up to which place."""

    before: Mapping[int, int]
    through: tuple[int, int]


@dataclass(slots=True)
class Licence:
    """What was taken out of the trail by right: by pruning, and by forgetting a user. Each is signed."""

    pruned: list[Pruning] = field(default_factory=list)
    erased: set[UUID] = field(default_factory=set)
    erased_unsigned: set[UUID] = field(default_factory=set)
    """Erased where there was no key yet: it counts for what was sealed as erased."""
    forgotten: dict[UUID, int] = field(default_factory=dict)
    """By records of the former form, which does not list what was erased."""
    unbounded: int = 0

    def prunes(self, event_id: UUID, kind: int, place: tuple[int, int]) -> bool:
        """Whether a record of that kind, age and place was pruned."""
        return any(event_id.int < each.before.get(kind, 0) and place <= each.through for each in self.pruned)

    def erases(self, row: Mapping[str, Any], personal: bytes) -> bool:
        """Whether the personal part was to be erased: of what was there when the user was forgotten."""
        identifier = row["id"]
        if identifier in self.erased:
            return True
        if identifier in self.erased_unsigned and personal == SEALED_WITHOUT:
            return True
        users = (row["user_id"], row["actor_id"])
        return any(identifier.int < self.forgotten.get(user, 0) for user in users if user is not None) or (
            identifier.int < self.forgotten.get(EVERYBODY, 0) and row["user_id"] is None
        )


EVERYBODY = UUID(int=0)
"""In whose name attempts are erased that nobody was found for."""
SEALED_WITHOUT = personal_digest(dict.fromkeys(("salt", *PERSONAL)))
"""The digest of the personal part of a record that was erased before it was sealed."""
UNBOUNDED = (2**63, 0)


def verify(
    host: Host, settings: AuditSettings, checkpoint: Path | None = None
) -> Iterator[Break | Note | int]:
    """Yield how many records were looked at, batch by batch, each `Break` and each `Note`."""
    keyring = Keyring(settings)
    with snapshot(host) as connection:
        try:
            known = dict[int, str]()
            if checkpoint is not None:
                known, contradictions = _checkpoints(checkpoint, keyring)
                yield from contradictions
                if not known and last_batch(connection) is not None:
                    yield Break(
                        "checkpoint", None, None, f"{checkpoint} has no checkpoint that can be trusted"
                    )
            yield from _chain(connection, keyring, known, host.now)
            for number in known:
                yield Break("checkpoint", number, None, "the checkpoint knows a seal that is not there")
            yield from _orphans(connection)
            yield from _inserted(connection, settings, host.now)
        except (ValueError, TypeError, RecursionError, DBAPIError):
            yield Break("seal", None, None, "a seal cannot be read any more")


def _chain(
    connection: Connection, keyring: Keyring, known: dict[int, str], now: datetime
) -> Iterator[Break | Note | int]:
    licence = _licence(connection, keyring)
    last: Mapping[str, Any] | None = None
    passed = False
    for batches in _pages(connection):
        records = _records(connection, batches[0]["number"], batches[-1]["number"])
        for batch in batches:
            own = records.get(batch["number"], [])
            yield from _batch(batch, last, keyring, own, licence)
            yield from _against(batch, known)
            if last is not None:
                yield from _clocks(last, batch, own, passed)
            passed = batch["through"] > (last["through"] if last else BEGINNING)
            last = batch
            yield len(own)
    if licence.unbounded:
        yield Note(
            None,
            f"{licence.unbounded} records of an erasure have the former form, which does not list what was "
            "erased: nobody can tell whether more than that was erased before "
            f"{stamp(made_at(UUID(int=max(licence.forgotten.values()))))}",
        )
    if last is not None and last["sealed_at"] > now + SKEW:
        yield Note(last["number"], ahead(last, now))


def _clocks(
    last: Mapping[str, Any], batch: Mapping[str, Any], records: list[Row[Any] | Break], passed: bool
) -> Iterator[Note]:
    """Where the clock of a sealer was ahead or behind. ``passed``: the batch before took all there was."""
    number, before = batch["number"], last["sealed_at"]
    if batch["sealed_at"] < before - SKEW:
        yield Note(
            last["number"],
            f"seal {last['number']} says that it was sealed at {stamp(before)}, seal {number} after "
            f"it at {stamp(batch['sealed_at'])}: the clock of the first sealer was ahead, "
            "or that of the second behind",
        )
        return
    if not passed:
        return
    limit = floor(before - LATE).int
    late = [
        row.event_id
        for row in records
        if not isinstance(row, Break) and row.kind != TRAIL and row.event_id.int < limit
    ]
    if late:
        yield Note(
            number,
            f"seal {number} has {len(late)} records from as early as {stamp(made_at(late[0]))} that "
            f"were not there when seal {last['number']} was sealed at {stamp(before)}: the clock of "
            "its sealer was ahead, or they were written late",
        )


def total(host: Host) -> int:
    """How many records are sealed."""
    with host.reader.connect() as connection:
        last = last_batch(connection)
    return last["total"] if last else 0


def _pages(connection: Connection) -> Iterator[list[dict[str, Any]]]:
    after = -(2**31)
    while True:
        page = (
            select(batch_table).where(batch_table.c.number > after).order_by(batch_table.c.number).limit(PAGE)
        )
        batches = all_rows(connection, page)
        if not batches:
            return
        after = batches[-1]["number"]
        yield batches


JOINED = select(*leaf_table.columns, *EVENTS).outerjoin(
    event_table, event_table.c.id == leaf_table.c.event_id
)


def _records(connection: Connection, first: int, last: int) -> dict[int, list[Row[Any] | Break]]:
    """The records of some batches by number, in their order; one that cannot be read is a `Break`."""
    within = leaf_table.c.batch.between(first, last)
    ordered = (leaf_table.c.batch, leaf_table.c.position)
    found: dict[int, list[Row[Any] | Break]] = {}
    try:
        for row in connection.execute(JOINED.where(within).order_by(*ordered)):
            found.setdefault(row.batch, []).append(row)
    except (ValueError, TypeError, DBAPIError):
        found.clear()
        places = connection.execute(select(*ordered).where(within).order_by(*ordered)).all()
        for batch, position in places:
            found.setdefault(batch, []).append(_alone(connection, batch, position))
    return found


def _alone(connection: Connection, batch: int, position: int) -> Row[Any] | Break:
    here = (leaf_table.c.batch == batch, leaf_table.c.position == position)
    try:
        return connection.execute(JOINED.where(*here)).one()
    except (ValueError, TypeError, DBAPIError):
        identifier = None
        with suppress(ValueError, TypeError, DBAPIError):
            identifier = connection.execute(select(leaf_table.c.event_id).where(*here)).scalar_one()
        return Break("changed", batch, identifier, "it cannot be read any more")


def _batch(
    batch: Mapping[str, Any],
    last: Mapping[str, Any] | None,
    keyring: Keyring,
    records: list[Row[Any] | Break],
    licence: Licence,
) -> Iterator[Break]:
    number, before = batch["number"], last["total"] if last else 0

    def broken(why: str) -> Break:
        return Break("seal", number, None, why)

    if number != (last["number"] + 1 if last else 1):
        yield broken("a seal before it is missing")
    elif batch["previous"] != (head(last) if last else GENESIS):
        yield broken("it does not follow the seal before it")
    if batch["key_id"] not in keyring.keys:
        yield broken(f"key {batch['key_id']} is not known; add its public key to former_keys")
    elif not keyring.verifies(batch["key_id"], canonical(header(batch)), batch["signature"]):
        yield broken("its signature is wrong")
    elif keyring.ends_before(batch["key_id"], number):
        yield broken(f"key {batch['key_id']} had signed its last seal before")
    hashes, found = [], False
    previous: UUID | None = None
    for position, row in enumerate(records):
        if isinstance(row, Break):
            found = True
            yield row
            continue
        for each in _record(row, number, position, previous, licence):
            found = True
            yield each
        previous = row.event_id
        hashes.append(merkle.leaf_hash(leaf_data(row.event_id, row.kind % 256, row.digest)))
    if not found and (len(records) != batch["size"] or batch["total"] != before + batch["size"]):
        yield broken(f"it sealed {batch['size']} records, {len(records)} are listed")
    elif not found and merkle.root(hashes) != batch["root"]:
        yield broken("the list of its records was changed")


def _record(
    row: Row[Any], number: int, position: int, previous: UUID | None, licence: Licence
) -> Iterator[Break]:
    identifier = row.event_id
    if row.position != position:
        yield Break("reordered", number, identifier, f"it stands at {row.position}, not {position}")
    elif previous is not None and identifier.int <= previous.int:
        yield Break("reordered", number, identifier, "it stands behind a later one")
    if row.its_id is None:
        if not licence.prunes(identifier, row.kind, (row.batch, row.position)):
            yield Break("removed", number, identifier, "it is not there, and was not pruned")
        elif row.personal != ERASED:
            yield Break(
                "changed", number, identifier, "it was pruned, and a digest of its personal part is there"
            )
        return
    event = {NAMES[name]: value for name, value in row._mapping.items() if name in NAMES}
    erased = event["salt"] is None and all(event[name] is None for name in PERSONAL)
    if erased and not licence.erases(event, row.personal):
        yield Break("changed", number, identifier, "its personal part is gone, and nobody asked for it")
    elif not erased and personal_digest(event) != row.personal:
        yield Break("changed", number, identifier, "its personal part is another")
    elif record_digest(event, row.personal) != row.digest:
        yield Break("changed", number, identifier, "it is another than was sealed")
    elif row.kind not in KINDS:
        yield Break("changed", number, identifier, "its class is none")
    elif abs(event["time"] - made_at(identifier)) > LATE:
        yield Break("changed", number, identifier, "its time is not that of its identifier")


def _orphans(connection: Connection) -> Iterator[Break]:
    """Leaves of a batch that is not there."""
    without = (
        select(leaf_table.c.batch)
        .outerjoin(batch_table, batch_table.c.number == leaf_table.c.batch)
        .where(batch_table.c.number.is_(None))
        .distinct()
    )
    for number in connection.execute(without).scalars():
        yield Break("seal", number, None, "it is missing, though records say that they are in it")


def unsealed(host: Host) -> tuple[int, datetime | None]:
    """Return how many records are in no seal, and the time of the oldest of them."""
    with snapshot(host) as connection:
        return _unsealed(connection)


def _unsealed(connection: Connection) -> tuple[int, datetime | None]:
    without = event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id)
    left = leaf_table.c.event_id.is_(None)
    count = connection.execute(select(func.count()).select_from(without).where(left)).scalar_one()
    oldest = select(event_table.c.id).select_from(without).where(left).order_by(event_table.c.id).limit(1)
    identifier = None
    with suppress(ValueError, TypeError, DBAPIError):
        identifier = connection.execute(oldest).scalar()
    return count, made_at(identifier) if identifier is not None else None


def _inserted(connection: Connection, settings: AuditSettings, now: datetime) -> Iterator[Break]:
    """Records that came after the sealer had passed."""
    last = last_batch(connection)
    if last is None:
        told = select(event_table.c.id).where(event_table.c.event == "audit_sealed").limit(1)
        if connection.execute(told).first() is not None:
            yield Break("seal", None, None, "there was a seal once, and now there is none")
            return
        count, since = _unsealed(connection)
        left = "no record is there"
        if count:
            left = f"the database alone protects the {count} records since {stamp(since)}"
        remedy = "" if settings.signing_key else "set a signing_key (`authhost audit new-key`), then "
        problem = f"nothing is sealed: {left}; {remedy}run `authhost audit seal --every 10` as a service"
        yield Break("seal", None, None, problem)
        return
    limit = reached(connection, now)
    late = (
        select(event_table.c.id)
        .outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id)
        .where(leaf_table.c.event_id.is_(None), event_table.c.id < limit)
        .order_by(event_table.c.id)
    )
    try:
        for identifier in connection.execute(late).scalars():
            yield Break("inserted", None, identifier, "it is older than the last seal, and in none")
    except (ValueError, TypeError, DBAPIError):
        yield Break("inserted", None, None, "a record in no seal cannot be read")


def _end(connection: Connection, keyring: Keyring, key_id: str) -> int:
    """The last identifier of which the key may say something: that of the time when another one seals."""
    last = keyring.keys[key_id].last
    if last is None:
        return ENDLESS
    following = select(batch_table.c.sealed_at).where(batch_table.c.number == last + 1)
    sealed_at = connection.execute(following).scalar()
    return floor(sealed_at + MILLISECOND).int if sealed_at is not None else ENDLESS


def _licence(connection: Connection, keyring: Keyring) -> Licence:
    """Only what is signed counts, and only for what it names."""
    table = event_table.c
    said = select(table.id, table.event, table.data).where(
        table.event.in_(("audit_pruned", "audit_forgotten"))
    )
    licence = Licence()
    for identifier, event, text in connection.execute(said):
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            data = json.loads(text)
            if event == "audit_forgotten" and "signature" not in data:
                licence.erased_unsigned.update(UUID(each) for each in data["erased"])
                continue
            signature = bytes.fromhex(data.pop("signature"))
            if not keyring.verifies(data["key_id"], statement(identifier, event, data), signature):
                continue
            if identifier.int > _end(connection, keyring, data["key_id"]):
                continue
            if event == "audit_pruned":
                licence.pruned.append(_pruning(data))
            elif "erased" in data:
                licence.erased.update(UUID(each) for each in data["erased"])
            else:
                licence.unbounded += 1
                user = UUID(data["user_id"])
                licence.forgotten[user] = max(identifier.int, licence.forgotten.get(user, 0))
                if data["attempts"]:
                    licence.forgotten[EVERYBODY] = max(identifier.int, licence.forgotten.get(EVERYBODY, 0))
    return licence


def _pruning(data: Mapping[str, Any]) -> Pruning:
    before = {int(kind): datetime.fromisoformat(each) for kind, each in data["before"].items()}
    batch, position = data.get("through", UNBOUNDED)
    return Pruning(
        {kind: floor(each).int for kind, each in before.items() if kind in PRUNED}, (batch, position)
    )


# Checkpoints.


def _checkpoints(path: Path, keyring: Keyring) -> tuple[dict[int, str], list[Break]]:
    """The heads of all seals that were pushed out, by number; and where two of one number differ."""
    known: dict[int, str] = {}
    contradictions: list[Break] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}, []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            found = json.loads(line)
            found.pop("event", None)
            signature = bytes.fromhex(found.pop("signature"))
            if not keyring.verifies(found["key_id"], canonical(found), signature):
                continue
            if keyring.ends_before(found["key_id"], found["number"]):
                continue
            number, now = int(found["number"]), hashlib.sha256(canonical(found)).hexdigest()
            if known.setdefault(number, now) != now:
                why = "two checkpoints know two different seals of this number"
                contradictions.append(Break("checkpoint", number, None, why))
    return known, contradictions


def _against(batch: Mapping[str, Any], known: dict[int, str]) -> Iterator[Break]:
    expected = known.pop(batch["number"], None)
    if expected is not None and expected != head(batch).hex():
        yield Break("checkpoint", batch["number"], None, "the checkpoint knows another seal of this number")
