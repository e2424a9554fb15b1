"""The database of one host: its engine, and what opens transactions and reads on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Executable, Row, Select
from sqlalchemy.exc import DBAPIError

from authhost.store.engine import make_reader, transactional
from authhost.store.prepared import PreparedSelect
from authhost.store.transaction import (
    PipelinedTransaction,
    Transaction,
    can_pipeline,
    pipeline_statements,
)


class Database:
    """The connections to one database. ``url`` is a SQLAlchemy URL; raises `ConfigurationError`."""

    def __init__(self, url: str) -> None:
        self.reader: Engine = make_reader(url)
        """For reading only: its connections begin no transaction and take no lock."""
        self.engine = transactional(self.reader)
        self.closed = False
        """Whether the host was closed: units of work then raise `HostClosed`."""
        self._prepared: dict[Select[Any], PreparedSelect] = {}
        self._transaction: type[Transaction] = Transaction
        if can_pipeline(self.engine):
            pipeline_statements(self.engine)
            self._transaction = PipelinedTransaction

    def transaction(self) -> Transaction:
        """Begin a transaction on a connection of its own."""
        connection = self.engine.connect()
        try:
            return self._transaction(connection)
        except BaseException:
            connection.close()
            raise

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of a statement that reads, outside a transaction.

        It is run once more on a new connection where the server has closed the first one.
        """
        try:
            return self._read(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._read(statement, values)

    def _read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        with self.reader.connect() as connection:
            return connection.execute(statement, values).all()

    def first(self, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any] | None:
        """The first row of a SELECT that every request runs, or None; outside a transaction."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = PreparedSelect(statement, self.engine.dialect)
        try:
            connection = self.engine.raw_connection()
            try:
                return prepared.first(connection, values)
            finally:
                connection.close()
        except self.engine.dialect.loaded_dbapi.Error:
            pass
        # SQLAlchemy tells a dead connection from a wrong statement, and raises its own errors.
        return next(iter(self.read(statement, values)), None)

    def write(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run one writing statement, stored at once; return the number of rows that it met."""
        with self.reader.connect() as connection:
            return connection.execute(statement, values).rowcount

    def close(self) -> None:
        """Close the connections."""
        self.closed = True
        self.engine.dispose()
