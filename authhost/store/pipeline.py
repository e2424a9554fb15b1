"""Transactions through psycopg, which sends several statements in one round trip (pipeline mode)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Executable

from authhost.store.engine import forget_counts
from authhost.store.prepared import PreparedStatement, Result, Statements
from authhost.store.transaction import Sent, Transaction


def can_pipeline(engine: Engine) -> bool:
    """Return whether the driver is psycopg with a libpq that supports pipelines (version 14)."""
    if engine.dialect.driver != "psycopg":
        return False
    psycopg: Any = engine.dialect.loaded_dbapi
    return bool(psycopg.Pipeline.is_supported())


@dataclass(slots=True)
class _Waiting:
    """A statement in the form of the driver, and the savepoints that exist when it runs."""

    sql: str
    parameters: Any
    savepoints: tuple[str, ...]
    sent: Sent | None = None
    cursor: Any = None
    many: bool = False

    def start(self, driver: Any) -> None:
        if self.cursor is None:
            self.cursor = driver.cursor()
        if self.many:
            self.cursor.executemany(self.sql, self.parameters)
        else:
            # After a failed batch, psycopg would use prepared statements that the server has never received.
            self.cursor.execute(self.sql, self.parameters, prepare=False)

    @property
    def done(self) -> bool:
        return self.cursor is not None and self.cursor.pgresult is not None


class PipelinedTransaction(Transaction):
    """A transaction on PostgreSQL through psycopg. Sent statements wait for the next one that is executed."""

    def __init__(self, engine: Engine, statements: Statements) -> None:
        self._waiting: list[_Waiting] = []
        self._failure: Exception | None = None
        """The error of a sent statement, whose caller does not wait. All later statements raise it."""
        super().__init__(engine, statements)

    def send_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._statements is None:
            super().send_many(statement, rows)
            return
        for values in rows:
            self.send(statement, values)

    def _execute(self, prepared: PreparedStatement, parameters: Any, *, many: bool = False) -> Result:
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
        if self._statements is None:
            super()._command(sql)
            return
        self._send(_Waiting(sql, None, tuple(self._savepoints)))

    def _send(self, statement: _Waiting) -> None:
        if self._failure is not None:
            self._raise(self._failure, statement.sql, ())
        self._waiting.append(statement)

    def check_sent(self) -> None:
        if self._failure is not None:
            self._raise(self._failure, "", ())

    def flush(self) -> None:
        self.check_sent()
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
        super().commit()  # sends nothing, but tells SQLAlchemy that the transaction has ended

    def close(self) -> None:
        self._waiting.clear()
        self._failure = None
        if self.connection.in_transaction() and not self.connection.invalidated:
            forget_counts(self._driver)
        super().close()

    def intercept(self, cursor: Any, sql: str, parameters: Any, *, many: bool = False) -> bool:
        error = self._error or self._failure
        if error is None and self._waiting and hasattr(cursor, "itersize"):
            self.flush()  # a server-side cursor sends several statements, and needs their responses
        elif error is None and self._waiting:
            error = self._run(_Waiting(sql, parameters, tuple(self._savepoints), cursor=cursor, many=many))
            if error is None:
                return True
        if error is not None:
            raise error
        return False

    def _wait_for(self, last: _Waiting, *, sent: bool = False) -> _Waiting:
        """Run the waiting statements and then ``last``, in one round trip; return ``last``.

        ``sent``: the caller of ``last`` does not wait for it, either.
        """
        error = self._failure or self._run(last, sent=sent)
        if error is not None:
            self._raise(error, last.sql, ())
        return last

    def _run(self, last: _Waiting, *, sent: bool = False) -> Exception | None:
        batch, self._waiting = [*self._waiting, last], []
        errors = self._errors_of(batch)
        failed = next((each for each in batch if not each.done), last)
        for each in batch:
            if each.done and each.sent is not None:
                each.sent._rowcount = each.cursor.rowcount
            if each is not last and each.cursor is not None:
                each.cursor.close()
        if not errors:
            return None
        if failed is not last or sent:
            self._failure = errors[0]
        self._savepoints = list(failed.savepoints)
        return errors[0]

    def _errors_of(self, batch: list[_Waiting]) -> list[Exception]:
        """Run statements in one round trip; return the errors. The first one causes the others."""
        driver, errors = self._driver.driver_connection, list[Exception]()
        try:
            if len(batch) == 1:
                batch[0].start(driver)
                return errors
            with driver.pipeline():
                try:
                    for each in batch:
                        each.start(driver)
                except Exception as error:  # an early error response, or a value that cannot be sent
                    errors.append(error)
        except Exception as error:
            errors.append(error)
        return errors
