"""Checks the outbox: whether messages are delivered, and by whom."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Host, utc
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from authhost_email.checks import OVERDUE_AFTER, START_WORKER
from authhost_email.doctor.results import Result
from authhost_email.monitoring import OutboxFacts, outbox_facts
from authhost_email.redaction import redact
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table

FAILED = "authhost email outbox --status pending"
DEAD = "authhost email outbox --status dead"


def examine_outbox(host: Host, settings: EmailSettings) -> Iterator[Result]:
    """Yield the state of the outbox. If the database cannot be read, that is the only result."""
    try:
        facts = outbox_facts(host)
        errors = {status: _newest_error(host, status) for status in ("pending", "dead")}
        newest = _newest_delivery(host)
    except Exception as error:  # of the database, or of the host, which has errors of its own
        yield Result(
            "error",
            "database",
            f"the outbox cannot be read: {_describe(error)}",
            "check database_url, and run `authhost db current`; `authhost db upgrade` creates the tables",
        )
        return
    yield _due(facts)
    yield _attempts(
        facts.failed,
        "failed",
        "failed and are tried again",
        errors["pending"],
        f"correct what the error names; `{FAILED}` lists them",
    )
    yield _attempts(
        facts.dead,
        "dead",
        "were given up",
        errors["dead"],
        f"`{DEAD}` lists them; after the correction, `authhost email retry ID`",
    )
    yield _worker(facts, settings, newest)


def _describe(error: Exception) -> str:
    """Return one line. The text of SQLAlchemy contains the statement, so that of the driver is used."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return redact(str(cause) or type(error).__name__, longest=250)


def _due(facts: OutboxFacts) -> Result:
    if not facts.due:
        return Result("ok", "outbox", "no message is due")
    found = f"messages due: {facts.due}, the oldest for {facts.oldest_due_seconds:.0f} s"
    if facts.oldest_due_seconds < OVERDUE_AFTER.total_seconds():
        return Result("ok", "outbox", found)
    return Result("error", "outbox", found, START_WORKER)


def _attempts(count: int, check: str, what: str, error: str | None, remedy: str) -> Result:
    if not count:
        return Result("ok", check, f"messages that {what}: none")
    newest = f"; the newest: {error}" if error else ""
    return Result("warning", check, f"messages that {what}: {count}{newest}", remedy)


def _worker(facts: OutboxFacts, settings: EmailSettings, newest: str | None) -> Result:
    """Whether a worker runs is seen by what it does: workers do not report themselves."""
    last = f"the newest delivered message was sent at {newest}" if newest else "no message was delivered yet"
    if facts.oldest_due_seconds >= OVERDUE_AFTER.total_seconds():
        found = f"no worker runs, or it cannot deliver: messages are overdue; {last}"
        return Result("error", "worker", found, START_WORKER)
    if facts.sending:
        return Result("ok", "worker", f"a worker runs; messages that it delivers now: {facts.sending}")
    if newest and not facts.due:
        return Result("ok", "worker", f"no message waits for one; {last}")
    remedy = START_WORKER if settings.delivery == "manual" else ""
    found = f"whether a worker runs cannot be seen now (delivery is {settings.delivery}); {last}"
    return Result("skipped", "worker", found, remedy)


def _newest_error(host: Host, status: str) -> str | None:
    table = outbox_table.c
    newest = (
        select(table.last_error)
        .where(table.status == status, table.last_error.is_not(None), table.attempts > 0)
        .order_by(table.id.desc())
        .limit(1)
    )
    with host.reader.connect() as connection:
        found: str | None = connection.execute(newest).scalar()
    return found


def _newest_delivery(host: Host) -> str | None:
    """Return the time of the newest delivery."""
    newest = select(func.max(outbox_table.c.sent_at)).where(outbox_table.c.status == "sent")
    with host.reader.connect() as connection:
        found = connection.execute(newest).scalar()
    return f"{utc(found):%Y-%m-%dT%H:%M:%SZ}" if found is not None else None
