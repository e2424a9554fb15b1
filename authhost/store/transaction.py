"""One transaction of a unit of work, and when its statements are sent to the database.

A flow should wait for the database as rarely as possible. If the driver supports it
(`authhost.store.pipeline`), a statement whose result is not needed at once is sent
together with the next one whose result is. Here each statement runs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, Executable, event
from sqlalchemy.exc import DBAPIError

from authhost.store.engine import BEGIN, TRANSACTION, has_ended, was_ended
from authhost.store.prepared import PreparedStatement, Result, Statements

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext

R = TypeVar("R")


class Sent:
    """A statement that was sent, or that will be sent with the next one whose result is needed."""

    __slots__ = ("_rowcount", "_transaction")

    def __init__(self, transaction: Transaction, rowcount: int | None = None) -> None:
        self._transaction, self._rowcount = transaction, rowcount

    @property
    def rowcount(self) -> int:
        """How many rows the statement has matched. Waits for the database."""
        if self._rowcount is None:
            self._transaction.flush()
        assert self._rowcount is not None
        return self._rowcount


class Transaction:
    """A transaction on one connection. Every statement runs at once.

    Statements run on the driver's cursor. An error of the driver is raised by
    SQLAlchemy, as if it had run the statement. So it has SQLAlchemy's class, and
    SQLAlchemy invalidates a connection that is lost.
    """

    def __init__(self, engine: Engine, statements: Statements) -> None:
        self.connection = engine.connect().execution_options(**{TRANSACTION: self})
        self._statements = None if statements.observed else statements
        self._driver: Any = self.connection.connection
        self._errors: Any = engine.dialect.loaded_dbapi.Error
        self._savepoints: list[str] = []
        """The names of the savepoints in the database, the innermost last."""
        self._names = 0
        self._begin = BEGIN.get(engine.dialect.name, "BEGIN")
        self._error: Exception | None = None
        """The driver's error that SQLAlchemy raises instead of running the next statement."""
        try:
            self.connection.begin()
            self._command(self._begin)
        except BaseException:
            self.connection.close()
            raise

    @property
    def ended(self) -> bool:
        """Whether a deadlock has ended the transaction."""
        return was_ended(self.connection)

    @property
    def undoes_statements(self) -> bool:
        """Whether the database undoes only the statement that fails, so that one row needs no savepoint."""
        return self.connection.dialect.name != "postgresql"

    def execute(self, statement: Executable, values: Mapping[str, Any]) -> Result:
        """Run a statement after all that were sent before it; return its result."""
        prepared = self._prepared(statement, values)
        if prepared is None:
            result = self.connection.execute(statement, values)
            return Result(result.all() if result.returns_rows else (), result.rowcount)
        return self._execute(prepared, prepared.bind(values))

    def _prepared(self, statement: Executable, values: Mapping[str, Any]) -> PreparedStatement | None:
        return self._statements.get(statement, values) if self._statements is not None else None

    def _execute(self, prepared: PreparedStatement, parameters: Any, *, many: bool = False) -> Result:
        return self._on_cursor(prepared.sql, parameters, prepared.result, many=many)

    def _on_cursor(self, sql: str, parameters: Any, read: Callable[[Any], R], *, many: bool = False) -> R:
        """Run SQL on a cursor of the driver; return what ``read`` takes from the cursor."""
        cursor = self._driver.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(sql, parameters)
            return read(cursor)
        except self._errors as error:
            self._raise(error, sql, parameters[0] if many else parameters)
            raise
        except BaseException as error:
            if not isinstance(error, Exception):
                self.connection.invalidate()  # a response may be unread; SQLAlchemy does the same
            raise
        finally:
            cursor.close()

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        """Run a statement without waiting for its result. A later statement may raise its error."""
        return Sent(self, self.execute(statement, values).rowcount)

    def send_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send a statement once for each of the ``rows``."""
        prepared = self._prepared(statement, rows[0])
        if prepared is None:
            self.connection.execute(statement, rows)
            return
        self._execute(prepared, [prepared.bind(values) for values in rows], many=True)

    def flush(self) -> None:
        """Wait until the database has run all statements that were sent."""

    def check_sent(self) -> None:
        """Raise the error of a sent statement, if it makes all later statements fail."""

    def savepoint(self) -> str:
        """Set a savepoint; return its name."""
        self._names += 1
        name = f"authhost_{self._names}"
        self._command(f"SAVEPOINT {name}")
        self._savepoints.append(name)
        return name

    def release(self, name: str) -> None:
        """Release a savepoint and the later ones. The writes since then stay."""
        self._command(f"RELEASE SAVEPOINT {name}")
        del self._savepoints[self._savepoints.index(name) :]

    def roll_back_to(self, name: str) -> bool:
        """Undo the writes since a savepoint, and release it. Return False if it does not exist any more.

        That is so after a deadlock, after a plugin has ended the transaction, and after Ctrl-C during
        a statement, for which SQLAlchemy closes the connection.
        """
        if self.connection.invalidated or self.ended or name not in self._savepoints:
            return False
        del self._savepoints[self._savepoints.index(name) :]
        try:
            self._command(f"ROLLBACK TO SAVEPOINT {name}")
            self._command(f"RELEASE SAVEPOINT {name}")
        except DBAPIError:
            self._begin_again_if_ended()
            return False
        return True

    def _begin_again_if_ended(self) -> None:
        """Begin a new transaction if a plugin has ended this one.

        In autocommit mode each of the following statements would be stored at once.
        """
        if not self.connection.invalidated and has_ended(self._driver.driver_connection):
            self._command(self._begin)

    def _command(self, sql: str) -> None:
        if self._statements is None:  # listeners or the log get every statement
            self.connection.exec_driver_sql(sql)
            return
        self._on_cursor(sql, (), lambda cursor: None)

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
        """Roll back if there was no commit, and return the connection to the pool."""
        try:
            if self.connection.in_transaction():
                self.connection.rollback()
        finally:
            self.connection.close()

    def intercept(self, cursor: Any, sql: str, parameters: Any, *, many: bool = False) -> bool:
        """Called instead of running a statement of SQLAlchemy; return False if SQLAlchemy must run it."""
        if self._error is not None:
            raise self._error
        return False


def watch_statements(engine: Engine) -> None:
    """Call `Transaction.intercept` for the statements that SQLAlchemy runs on its connection."""

    @event.listens_for(engine, "do_execute")
    def on_execute(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.intercept(cursor, sql, parameters)

    @event.listens_for(engine, "do_executemany")
    def on_executemany(cursor: Any, sql: str, parameters: Any, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.intercept(cursor, sql, parameters, many=True)

    @event.listens_for(engine, "do_execute_no_params")
    def on_execute_no_params(cursor: Any, sql: str, context: ExecutionContext) -> bool:
        transaction = context.execution_options.get(TRANSACTION)
        return transaction is not None and transaction.intercept(cursor, sql, None)
