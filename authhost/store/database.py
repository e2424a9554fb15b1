"""The database of one host: its engine, reads outside a transaction, and new transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Engine, Executable, PoolProxiedConnection

from authhost.store.engine import is_prepared_now, make_engine, reading
from authhost.store.pipeline import PipelinedTransaction, can_pipeline
from authhost.store.prepared import Row, Statements
from authhost.store.transaction import Transaction, watch_statements


class Database:
    """The connections to one database. ``url`` is a SQLAlchemy URL; raises `ConfigurationError`."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = make_engine(url)
        self.reader: Engine = reading(self.engine)
        """The same engine for reading: its connections begin no transaction and take no lock."""
        self.closed = False
        """Whether the host was closed. Units of work then raise `HostClosed`."""
        self._statements = Statements(self.engine)
        self._pipelines = can_pipeline(self.engine)
        self._transaction = PipelinedTransaction if self._pipelines else Transaction
        watch_statements(self.engine)

    def transaction(self) -> Transaction:
        """Take a connection from the pool, and begin a transaction on it."""
        return self._transaction(self.engine, self._statements)

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return all rows of a reading statement, which runs outside a transaction."""
        prepared = None if self._statements.observed else self._statements.get(statement, values)
        if prepared is None:
            return self._read(statement, values)
        with suppress(self.engine.dialect.loaded_dbapi.Error), self._raw_connection() as connection:
            cursor = connection.cursor()
            try:
                self._run(connection, cursor, prepared.sql, prepared.bind(values))
                return prepared.result(cursor).rows
            finally:
                cursor.close()
        # The driver raised an error. SQLAlchemy tries again on a new connection, and raises its own errors.
        return self._read(statement, values)

    @contextmanager
    def _raw_connection(self) -> Iterator[PoolProxiedConnection]:
        """Take a connection from the pool for a block. If the block fails, the connection is closed.

        A response may then be unread, and psycopg may treat a statement as prepared
        that the server has refused to prepare.
        """
        connection = self.engine.raw_connection()
        try:
            yield connection
        except BaseException:
            connection.invalidate()
            raise
        finally:
            connection.close()

    def _run(self, connection: PoolProxiedConnection, cursor: Any, sql: str, parameters: Any) -> None:
        if not self._pipelines or not is_prepared_now(connection, sql):
            cursor.execute(sql, parameters)
            return
        driver: Any = connection.driver_connection
        with driver.pipeline():
            cursor.execute(sql, parameters)

    def _read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        with self.reader.connect() as connection:
            return connection.execute(statement, values).all()

    def write(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run one writing statement, which is stored at once; return the number of rows that it matched."""
        with self.reader.connect() as connection:
            return connection.execute(statement, values).rowcount

    def close(self) -> None:
        """Close the connections."""
        self.closed = True
        self.engine.dispose()
