"""A SELECT that is compiled once and run on the driver's cursor: for the session check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Dialect, Select

Processor = Callable[[Any], Any]


class PreparedSelect:
    """A SELECT with its SQL, and with what converts values and columns for one kind of database.

    SQLAlchemy compiles it and provides the conversions. A short SELECT through
    a SQLAlchemy connection takes several times as long, and every request of an
    application makes a session check. SQLAlchemy's events do not see it.
    """

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._order = compiled.positiontup
        """The names of the parameters, where the driver takes them by position."""
        self._binds = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
        }
        self._columns = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]

    def first(self, connection: Any, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row on a connection of the driver, or None; raises the driver's errors."""
        given = {
            name: process(values[name]) if process is not None else values[name]
            for name, process in self._binds.items()
        }
        cursor = connection.cursor()
        try:
            cursor.execute(self._sql, given if self._order is None else [given[name] for name in self._order])
            row = cursor.fetchone()
        finally:
            cursor.close()
        if row is None:
            return None
        return tuple(
            value if process is None else process(value)
            for process, value in zip(self._columns, row, strict=True)
        )
