"""The database of one host: its engines, and what reads and begins transactions on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Executable, PoolProxiedConnection

from authhost.store.engine import is_prepared_now, make_reader, transactional
from authhost.store.pipeline import PipelinedTransaction, can_pipeline
from authhost.store.prepared import Row, Statements
from authhost.store.transaction import Transaction, watch_statements


class Database:
    """The connections to one database. ``url`` is a SQLAlchemy URL; raises `ConfigurationError`."""

    def __init__(self, url: str) -> None:
        self.reader: Engine = make_reader(url)
        """For reading only: its connections begin no transaction and take no lock."""
        self.engine: Engine = transactional(self.reader)
        self.closed = False
        """Whether the host was closed: units of work then raise `HostClosed`."""
        self._statements = Statements(self.engine)
        self._pipelines = can_pipeline(self.engine)
        self._transaction = PipelinedTransaction if self._pipelines else Transaction
        watch_statements(self.reader)

    def transaction(self) -> Transaction:
        """Begin a transaction on a connection of its own."""
        return self._transaction(self.engine, self._statements)

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """All rows of a statement that reads, outside a transaction."""
        prepared = None if self._statements.observed else self._statements.get(statement, values)
        if prepared is None:
            return self._read(statement, values)
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            try:
                self._run(connection, cursor, prepared.sql, prepared.bind(values))
                return prepared.result(cursor).rows
            finally:
                cursor.close()
        except self.engine.dialect.loaded_dbapi.Error:
            pass
        finally:
            connection.close()
        # SQLAlchemy recognises a dead connection, replaces it, and raises its own errors.
        return self._read(statement, values)

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
        """Run one writing statement, stored at once; return the number of rows that it met."""
        with self.reader.connect() as connection:
            return connection.execute(statement, values).rowcount

    def close(self) -> None:
        """Close the connections."""
        self.closed = True
        self.engine.dispose()
