"""One transaction of a unit of work, and how its statements travel to the database.

A flow waits for the database as rarely as possible. A statement whose result
nobody needs at once is sent with the next one that is waited for. PostgreSQL
takes them together (psycopg's pipeline mode); other drivers run each at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Executable, event
from sqlalchemy.exc import DBAPIError

from authhost.store.engine import BEGIN, TRANSACTION, is_new_statement, was_ended
from authhost.store.prepared import PreparedStatement, Result, Statements

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext


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
    """A transaction on one connection. Every statement runs at once.

    Statements run on the driver's cursor. An error of the driver is raised by
    SQLAlchemy, as if it had run the statement: so it has SQLAlchemy's class,
    and a dead connection is noticed.
    """

    def __init__(self, engine: Engine, statements: Statements) -> None:
        self.connection = engine.connect().execution_options(**{TRANSACTION: self})
        self._statements = None if statements.observed else statements
        self._driver: Any = self.connection.connection
        self._errors: Any = engine.dialect.loaded_dbapi.Error
        self._savepoints: list[str] = []
        """Those that the database has set, the innermost last."""
        self._names = 0
        self._error: Exception | None = None
        """What SQLAlchemy is to raise."""
        try:
            self.connection.begin()
            self._command(BEGIN.get(engine.dialect.name, "BEGIN"))
        except BaseException:
            self.connection.close()
            raise

    @property
    def ended(self) -> bool:
        """Whether a deadlock has ended the transaction in favour of another."""
        return was_ended(self.connection)

    @property
    def undoes_statements(self) -> bool:
        """Whether a statement that fails undoes itself alone, so that one row needs no savepoint."""
        return self.connection.dialect.name != "postgresql"

    def execute(self, statement: Executable, values: Mapping[str, Any]) -> Result:
        """Run a statement, after all that were sent before it, and wait for its result."""
        prepared = self._prepared(statement, values)
        if prepared is None:
            result = self.connection.execute(statement, values)
            return Result(result.all() if result.returns_rows else (), result.rowcount)
        return self._execute(prepared, prepared.bind(values))

    def _prepared(self, statement: Executable, values: Mapping[str, Any]) -> PreparedStatement | None:
        return self._statements.get(statement, values) if self._statements is not None else None

    def _execute(self, prepared: PreparedStatement, parameters: Any) -> Result:
        cursor = self._driver.cursor()
        try:
            cursor.execute(prepared.sql, parameters)
            return prepared.result(cursor)
        except self._errors as error:
            self._raise(error, prepared.sql, parameters)
            raise
        finally:
            cursor.close()

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        """Run a statement whose result nobody waits for; its errors may be raised by a later statement."""
        return Sent(self, self.execute(statement, values).rowcount)

    def send_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send a statement once for each of the ``rows``."""
        for values in rows:
            self.send(statement, values)

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
        cursor = self._driver.cursor()
        try:
            cursor.execute(sql)
        except self._errors as error:
            self._raise(error, sql, ())
            raise
        finally:
            cursor.close()

    def _raise(self, error: Exception, sql: str, parameters: Any) -> None:
        """Let SQLAlchemy raise an error of the driver."""
        self._error = error
        try:
            self.connection.exec_driver_sql(sql, parameters)
        finally:
            self._error = None

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

    def take(self, cursor: Any, sql: str, parameters: Any, *, many: bool = False) -> bool:
        """Called before SQLAlchemy runs a statement; return True if this has run it."""
        if self._error is not None:
            raise self._error
        return False


@dataclass(slots=True)
class _Waiting:
    """A statement as the driver takes it, and the savepoints that are set when it runs."""

    sql: str
    parameters: Any
    savepoints: tuple[str, ...]
    sent: Sent | None = None
    cursor: Any = None
    many: bool = False

    def start(self, driver: Any, *, prepare: bool) -> None:
        if self.cursor is None:
            self.cursor = driver.cursor()
        if self.many:
            self.cursor.executemany(self.sql, self.parameters)
        else:
            self.cursor.execute(self.sql, self.parameters, prepare=prepare or None)

    @property
    def done(self) -> bool:
        return self.cursor is not None and self.cursor.pgresult is not None


class PipelinedTransaction(Transaction):
    """A transaction on PostgreSQL through psycopg: what is sent waits for the next statement."""

    def __init__(self, engine: Engine, statements: Statements) -> None:
        self._waiting: list[_Waiting] = []
        self._failure: Exception | None = None
        """The error of a sent statement, whose caller has gone on. All that follow fail with it."""
        super().__init__(engine, statements)

    def _execute(self, prepared: PreparedStatement, parameters: Any) -> Result:
        last = self._wait_for(_Waiting(prepared.sql, parameters, tuple(self._savepoints)))
        try:
            return prepared.result(last.cursor)
        finally:
            last.cursor.close()

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        prepared = self._prepared(statement, values)
        if prepared is None:
            return super().send(statement, values)
        sent = Sent(self)
        self._send(_Waiting(prepared.sql, prepared.bind(values), tuple(self._savepoints), sent))
        return sent

    def _command(self, sql: str) -> None:
        self._send(_Waiting(sql, None, tuple(self._savepoints)))

    def _send(self, statement: _Waiting) -> None:
        if self._failure is not None:
            self._raise(self._failure, statement.sql, ())
        self._waiting.append(statement)

    def flush(self) -> None:
        if self._failure is not None:
            self._raise(self._failure, "", ())
        if self._waiting:
            last = self._wait_for(self._waiting.pop(), sent=True)
            last.cursor.close()

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
        error = self._error or self._failure
        if error is None and self._waiting:
            error = self._run(_Waiting(sql, parameters, tuple(self._savepoints), cursor=cursor, many=many))
            if error is None:
                return True
        if error is not None:
            raise error
        return False

    def _wait_for(self, last: _Waiting, *, sent: bool = False) -> _Waiting:
        """Run what waits and then ``last``, in one round trip; return ``last``.

        ``sent`` says that the caller of ``last`` has gone on, too.
        """
        error = self._failure or self._run(last, sent=sent)
        if error is not None:
            self._raise(error, last.sql, ())
        return last

    def _run(self, last: _Waiting, *, sent: bool = False) -> Exception | None:
        batch, self._waiting = [*self._waiting, last], []
        errors = self._errors_of(batch)
        for each in batch:
            if each.done and each.sent is not None:
                each.sent._rowcount = each.cursor.rowcount
            if each is not last and each.cursor is not None:
                each.cursor.close()
        if not errors:
            return None
        failed = next((each for each in batch if not each.done), last)
        if failed is not last or sent:
            self._failure = errors[0]
        self._savepoints = list(failed.savepoints)
        return errors[0]

    def _errors_of(self, batch: list[_Waiting]) -> list[Exception]:
        """Run statements in one round trip; return the errors, the first of which causes the others."""
        driver, errors = self._driver.driver_connection, list[Exception]()
        new = [is_new_statement(self._driver, each.sql) for each in batch]
        try:
            if len(batch) == 1 and not new[0]:
                batch[0].start(driver, prepare=False)
                return errors
            with driver.pipeline():
                try:
                    for each, prepare in zip(batch, new, strict=True):
                        each.start(driver, prepare=prepare)
                except self._errors as error:  # an answer that came early
                    errors.append(error)
        except self._errors as error:
            errors.append(error)
        return errors


def watch_statements(engine: Engine) -> None:
    """Let the transactions of an engine see the statements that SQLAlchemy runs on their connections."""

    @event.listens_for(engine, "do_execute")
    def on_execute(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.take(cursor, sql, parameters)

    @event.listens_for(engine, "do_executemany")
    def on_executemany(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.take(cursor, sql, parameters, many=True)

    @event.listens_for(engine, "do_execute_no_params")
    def on_execute_no_params(cursor: Any, sql: str, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.take(cursor, sql, None)


def can_pipeline(engine: Engine) -> bool:
    """Whether the driver is psycopg with a libpq that has pipelines (PostgreSQL 14)."""
    if engine.dialect.driver != "psycopg":
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()
