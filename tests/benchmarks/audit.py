"""The audit trail with many records: how long it takes to seal, verify and search them.

python tests/benchmarks/audit.py --records 1000000 --database sqlite:////tmp/trail.sqlite3
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from authhost_audit.export import as_json
from authhost_audit.records import AuditEvent, _row, mask_ip_address
from authhost_audit.sealing import seal
from authhost_audit.search import Query, search
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import new_key
from authhost_audit.tables import event_table, metadata
from authhost_audit.uuid7 import lower_bound
from authhost_audit.verification import verify
from authhost_audit.violations import Violation
from sqlalchemy import func, insert, select

from authhost.security.ids import Identifiers
from authhost.store.engine import make_engine
from authhost.store.sqlite import create_sqlite_file

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS = 100_000
CHUNK = 10_000
EVENTS = ("user_logged_in", "user_logged_out", "user_signed_up", "password_changed", "flow_refused")


def progress(label: str, done: int, total: int) -> None:
    if done == total or sys.stderr.isatty():
        print(f"\r{label}: {done:,} of {total:,}", end="\n" if done == total else "", file=sys.stderr)


def records(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Records of a year, in order."""
    chance = random.Random(seed)
    users = [UUID(int=lower_bound(START).int + number) for number in range(USERS)]
    step = timedelta(days=300) / count
    for number in range(count):
        event = EVENTS[chance.randrange(len(EVENTS))]
        user, now = users[chance.randrange(USERS)], START + number * step
        identifier = UUID(int=lower_bound(now).int + 1 + number % 10_000_000)
        refused = event == "flow_refused"
        audit_event = AuditEvent(
            event, user, "refused" if refused else "success", "invalid_credentials" if refused else None
        )
        yield {
            **_row(identifier, now, audit_event),
            "actor_id": user,
            "session_ref": f"{chance.getrandbits(256):064x}",
            "request_id": identifier,
            "ip_address": mask_ip_address(f"10.{chance.randrange(256)}.{chance.randrange(256)}.1", "full"),
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64) benchmark",
            "identifier": None,
        }


def fill(engine: Any, count: int) -> None:
    chunk: list[dict[str, Any]] = []
    for number, record in enumerate(records(count), 1):
        chunk.append(record)
        if len(chunk) == CHUNK or number == count:
            with engine.begin() as connection:
                connection.execute(insert(event_table), chunk)
            chunk.clear()
            progress("written", number, count)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def _write_seal_verify(
    engine: Any, clock: Any, settings: AuditSettings, count: int
) -> list[tuple[str, float, str]]:
    rows = []
    took, _ = timed(lambda: fill(engine, count))
    rows.append(("write", took, ""))

    def sealing() -> int:
        done = 0
        for batch in seal(clock, settings):
            done += batch["size"] - 1
            progress("sealed", min(done, count), count)
        return done

    took, done = timed(sealing)
    rows.append(("seal", took, f"{done:,} records"))

    def verifying() -> int:
        looked = 0
        for found in verify(clock, settings):
            assert not isinstance(found, Violation), found
            looked += found
            progress("verified", looked, count)
        return looked

    took, looked = timed(verifying)
    rows.append(("verify", took, f"{looked:,} records"))
    return rows


def _export(clock: Any, count: int) -> tuple[str, float, str]:
    """All of it as JSON Lines, into nothing; the peak of memory before and after."""

    def exporting() -> int:
        written = 0
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            for record in search(clock, Query()):
                nowhere.write(as_json(record) + "\n")
                written += 1
                if written % CHUNK == 0:
                    progress("exported", written, count)
        return written

    before = _peak()
    took, written = timed(exporting)
    return ("export", took, f"{written:,} records; peak of memory {before} MiB before, {_peak()} MiB after")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--database", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--search", action="store_true", help="only search what an earlier run has left")
    options = parser.parse_args()
    engine = make_engine(options.database)
    create_sqlite_file(engine.url)
    if not options.search:
        metadata.drop_all(engine)
        metadata.create_all(engine)
    secret, _ = new_key()
    settings = AuditSettings(signing_key=secret)
    clock = SimpleNamespace(
        engine=engine,
        reader=engine,
        now=START + timedelta(days=301),
        new_id=Identifiers(lambda: START + timedelta(days=301)).new,
    )
    rows: list[tuple[str, float, str]] = []
    if not options.search:
        rows += _write_seal_verify(engine, clock, settings, options.records)
    with engine.connect() as connection:
        middle = connection.execute(
            select(event_table.c.user_id, event_table.c.ip_address)
            .where(event_table.c.id >= lower_bound(START + timedelta(days=150)))
            .where(event_table.c.outcome == "refused")
            .order_by(event_table.c.id)
            .limit(1)
        ).one()
    span = {"since": START + timedelta(days=150), "until": START + timedelta(days=151)}
    for label, query in (
        ("search by user", Query(user_id=middle.user_id)),
        ("search by user and event", Query(user_id=middle.user_id, event="password_changed")),
        (
            "search a day's refusals from one address",
            Query(ip_address=middle.ip_address, outcome="refused", **span),
        ),
        ("search the newest 100", Query()),
    ):
        took, found = timed(lambda query=query: list(search(clock, query, newest=100)))
        rows.append((label, took, f"{len(found)} found"))
    if not options.search:
        rows.append(_export(clock, options.records))
    with engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(event_table)).scalar_one()
    engine.dispose()
    if options.json:
        for label, took, note in rows:
            print(json.dumps({"step": label, "seconds": round(took, 3), "note": note, "records": count}))
        return
    print(f"\n{engine.dialect.name}, {count:,} records, {os.cpu_count()} cores\n")
    print("| step | seconds | microseconds a record | |\n| --- | --- | --- | --- |")
    for label, took, note in rows:
        each = f"{took / count * 1e6:.1f}" if "search" not in label else ""
        print(f"| {label} | {took:.3f} | {each} | {note} |")


if __name__ == "__main__":
    main()
