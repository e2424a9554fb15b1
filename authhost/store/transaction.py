"""One transaction of a unit of work, and how its statements travel to the database.

A flow waits for the database as rarely as possible. A statement whose result
nobody needs at once is sent with the next one that is waited for. PostgreSQL
takes them together (psycopg's pipeline mode); other drivers run each at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Executable, event
from sqlalchemy.exc import DBAPIError

from authhost.store.engine import was_ended

if TYPE_CHECKING:
    from sqlalchemy import CursorResult
    from sqlalchemy.engine.interfaces import ExecutionContext

PIPELINE = "authhost_pipeline"
"""The execution option with the pipeline of a connection."""


class Sent:
    """A statement that was sent, or will be sent with the next one that is waited for."""

    __slots__ = ("_rowcount", "_transaction")

    def __init__(self, transaction: Transaction, rowcount: int | None = None) -> None:
        self._transaction, self._rowcount = transaction, rowcount

    @property
    def rowcount(self) -> int:
        """How many rows the statement has met; waits for the database."""
        if self._rowcount is None:
            self._transaction.flush()
        assert self._rowcount is not None
        return self._rowcount


class Transaction:
    """A transaction on one connection. Every statement runs at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._savepoints: list[str] = []
        """Those that the database has set, the innermost last."""
        self._names = 0
        self._begin()

    def _begin(self) -> None:
        self.connection.begin()

    @property
    def ended(self) -> bool:
        """Whether a deadlock has ended the transaction in favour of another."""
        return was_ended(self.connection)

    @property
    def undoes_statements(self) -> bool:
        """Whether a statement that fails undoes itself alone, so that one row needs no savepoint."""
        return self.connection.dialect.name != "postgresql"

    def execute(self, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Run a statement, after all that were sent before it, and wait for its result."""
        return self.connection.execute(statement, values)

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        """Run a statement whose result nobody waits for; its errors may be raised by a later statement."""
        result = self.connection.execute(statement, values)
        result.close()
        return Sent(self, result.rowcount)

    def send_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send a statement once for each of the ``rows``."""
        self.connection.execute(statement, rows)

    def flush(self) -> None:
        """Wait until the database has done all that was sent."""

    def savepoint(self) -> str:
        """Set a savepoint; return its name."""
        self._names += 1
        name = f"authhost_{self._names}"
        self._command(f"SAVEPOINT {name}")
        self._savepoints.append(name)
        return name

    def release(self, name: str) -> None:
        """Forget a savepoint and those that were set after it; what was written since stays."""
        self._command(f"RELEASE SAVEPOINT {name}")
        del self._savepoints[self._savepoints.index(name) :]

    def roll_back_to(self, name: str) -> bool:
        """Undo what was written since a savepoint, and forget it; return False where it is gone.

        It is gone where the transaction has ended, or where a plugin has ended it.
        """
        if self.ended or name not in self._savepoints:
            return False
        del self._savepoints[self._savepoints.index(name) :]
        try:
            self._command(f"ROLLBACK TO SAVEPOINT {name}")
            self._command(f"RELEASE SAVEPOINT {name}")
        except DBAPIError:
            return False
        return True

    def _command(self, sql: str) -> None:
        # SQLAlchemy's begin_nested takes three times as long, and this is on the path of every flow.
        self.connection.exec_driver_sql(sql)

    def commit(self) -> None:
        """Store everything."""
        self.connection.commit()

    def close(self) -> None:
        """Undo what was not committed, and return the connection."""
        try:
            if self.connection.in_transaction():
                self.connection.rollback()
        finally:
            self.connection.close()


@dataclass(slots=True)
class _Waiting:
    """A statement as the driver takes it, and the savepoints that are set when it runs."""

    sent: Sent
    sql: str
    parameters: Any
    savepoints: tuple[str, ...]
    cursor: Any = None

    def start(self, driver: Any) -> None:
        self.cursor = driver.cursor()
        self.cursor.execute(self.sql, self.parameters)

    @property
    def done(self) -> bool:
        return self.cursor is not None and self.cursor.pgresult is not None


class PipelinedTransaction(Transaction):
    """A transaction on PostgreSQL through psycopg: what is sent waits for the next statement.

    SQLAlchemy compiles all statements. `take` is called in the place of the
    driver's ``execute``: it keeps what is sent, and runs it before the next
    statement, in one round trip.
    """

    def __init__(self, connection: Connection) -> None:
        self._waiting: list[_Waiting] = []
        self._sending: Sent | None = None
        self._last: _Waiting | None = None
        """The sent statement that `flush` lets SQLAlchemy execute."""
        self._failure: Exception | None = None
        """The error of a sent statement, whose caller has gone on. All that follow fail with it."""
        super().__init__(connection.execution_options(**{PIPELINE: self}))

    def _begin(self) -> None:
        self._sending = Sent(self)
        try:
            self.connection.begin()
        finally:
            self._sending = None

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        self._sending = sent = Sent(self)
        try:
            self.connection.execute(statement, values)
        finally:
            self._sending = None
        return sent

    def send_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        for values in rows:
            self.send(statement, values)

    def _command(self, sql: str) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiting.append(_Waiting(Sent(self), sql, None, tuple(self._savepoints)))

    def flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._waiting:
            # SQLAlchemy executes the last one: it wraps errors, and notices a dead connection.
            self._last = last = self._waiting.pop()
            try:
                last.sent._rowcount = self.connection.exec_driver_sql(last.sql, last.parameters).rowcount
            finally:
                self._last = None

    def roll_back_to(self, name: str) -> bool:
        if name in self._savepoints:
            self._failure = None
        return super().roll_back_to(name)

    def commit(self) -> None:
        self._command("COMMIT")
        self.flush()
        super().commit()  # nothing is sent any more: it tells SQLAlchemy that the transaction is over

    def close(self) -> None:
        self._waiting.clear()
        self._failure = None
        super().close()

    def take(self, cursor: Any, sql: str, parameters: Any, *, many: bool = False) -> bool:
        """Keep or run a statement in the place of SQLAlchemy; return False to let SQLAlchemy run it."""
        if self._failure is not None:
            raise self._failure
        if self._sending is not None:
            self._waiting.append(_Waiting(self._sending, sql, parameters, tuple(self._savepoints)))
            return True
        if not self._waiting:
            return False
        waiting, self._waiting = self._waiting, []
        self._run(waiting, cursor, partial(cursor.executemany if many else cursor.execute, sql, parameters))
        return True

    def _run(self, waiting: list[_Waiting], cursor: Any, last: Callable[[], Any]) -> None:
        """Run what waits, and then the ``last`` one, in one round trip."""
        driver, failures = cursor.connection, list[Exception]()
        try:
            with driver.pipeline():
                try:
                    for each in waiting:
                        each.start(driver)
                    last()
                except Exception as error:  # an answer that came early, or a value that cannot be sent
                    failures.append(error)
        except Exception as error:
            failures.append(error)
        failed = next((each for each in waiting if not each.done), self._last if failures else None)
        for each in waiting:
            if each.done:
                each.sent._rowcount = each.cursor.rowcount
            if each.cursor is not None:
                each.cursor.close()
        if failures:
            if failed is not None:
                self._failure = failures[0]
                self._savepoints = list(failed.savepoints)
            raise failures[0]


def pipeline_statements(engine: Engine) -> None:
    """Let `PipelinedTransaction` take over the statements of its connections."""

    @event.listens_for(engine, "do_execute")
    def on_execute(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(PIPELINE)
        return transaction is not None and transaction.take(cursor, sql, parameters)

    @event.listens_for(engine, "do_executemany")
    def on_executemany(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(PIPELINE)
        return transaction is not None and transaction.take(cursor, sql, parameters, many=True)

    @event.listens_for(engine, "do_execute_no_params")
    def on_execute_no_params(cursor: Any, sql: str, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(PIPELINE)
        return transaction is not None and transaction.take(cursor, sql, None)


def can_pipeline(engine: Engine) -> bool:
    """Whether the driver is psycopg with a libpq that has pipelines (PostgreSQL 14)."""
    if engine.dialect.driver != "psycopg":
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()
