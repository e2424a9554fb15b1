"""Compiles statements once, to run them on the driver's cursor.

SQLAlchemy compiles each statement and provides the conversions of its values
and columns. Running a short statement through a SQLAlchemy connection takes
several times as long as the statement itself, and every request of an
application runs at least one.
"""

from __future__ import annotations

import logging
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Dialect, Engine, Executable
from sqlalchemy.engine.interfaces import BindTyping

Processor = Callable[[Any], Any] | None
QUERY_LOG = logging.getLogger("sqlalchemy.engine.Engine")


class Row(Protocol):
    """A row: a tuple whose columns are attributes, too."""

    def __getattr__(self, name: str) -> Any: ...

    def __getitem__(self, index: Any) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Result(NamedTuple):
    """The result of a statement."""

    rows: Sequence[Any]
    """Tuples whose columns are attributes, too."""
    rowcount: int


class _Parameter(NamedTuple):
    name: str
    key: str
    required: bool
    default: Any
    process: Processor


class PreparedStatement:
    """A statement as SQL, and the conversions of its values and columns for one dialect."""

    def __init__(self, statement: Any, compiled: Any, dialect: Dialect) -> None:
        self.sql = str(compiled)
        self._parameters = [
            _Parameter(
                name,
                bind.key,
                bind.required,
                bind.effective_value,
                bind.type.dialect_impl(dialect).bind_processor(dialect),
            )
            for bind, name in compiled.bind_names.items()
        ]
        order: list[str] | None = compiled.positiontup
        if order is not None:
            named = {each.name: each for each in self._parameters}
            self._parameters = [named[name] for name in order]
        self._names = [each.name for each in self._parameters] if order is None else None
        columns = list(statement.exported_columns) if statement.is_select or statement.is_dml else []
        self._processors: list[Processor] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        names = [str(column.key) for column in columns]
        self._row: Any = namedtuple("Row", names, rename=True) if names else None

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters for the driver; raises `KeyError` for a missing value."""
        given: list[Any] = []
        for _, key, required, default, process in self._parameters:
            value = values[key] if required else values.get(key, default)
            given.append(value if process is None else process(value))
        return tuple(given) if self._names is None else dict(zip(self._names, given, strict=True))

    def result(self, cursor: Any) -> Result:
        """Return the result of the statement that ``cursor`` has executed."""
        if self._row is None:
            return Result((), cursor.rowcount)
        processors, make = self._processors, self._row._make
        rows = [
            make(
                value if process is None else process(value)
                for process, value in zip(processors, row, strict=True)
            )
            for row in cursor.fetchall()
        ]
        return Result(rows, cursor.rowcount)


def prepare(statement: Any, names: tuple[str, ...], dialect: Dialect) -> PreparedStatement | None:
    """Compile a statement for values of these names. Return None if SQLAlchemy has to run it.

    SQLAlchemy has to run statements with defaults that are Python functions and
    with parameters that are expanded at execution, and all statements of drivers
    that need the types of the values.
    """
    if dialect.bind_typing is BindTyping.SETINPUTSIZES:
        return None
    compiled = statement.compile(dialect=dialect, column_keys=sorted(names) if statement.is_dml else None)
    special = (
        compiled.post_compile_params,
        compiled.literal_execute_params,
        compiled.escaped_bind_names,
        getattr(compiled, "insert_prefetch", None),
        getattr(compiled, "update_prefetch", None),
    )
    return None if any(special) else PreparedStatement(statement, compiled, dialect)


class Statements:
    """The prepared statements of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._dispatch, self._dialect = engine, engine.dispatch, engine.dialect
        self._prepare = lru_cache(maxsize=1024)(self._prepared)

    @property
    def observed(self) -> bool:
        """Whether there are listeners or a log for statements, so that SQLAlchemy has to run them all."""
        dispatch = self._dispatch
        return (
            bool(self._engine.echo)
            or bool(dispatch.before_execute)
            or bool(dispatch.after_execute)
            or bool(dispatch.before_cursor_execute)
            or bool(dispatch.after_cursor_execute)
            or QUERY_LOG.isEnabledFor(logging.INFO)
        )

    def get(self, statement: Executable, values: Mapping[str, Any]) -> PreparedStatement | None:
        """Return the prepared statement, or None if SQLAlchemy has to run it."""
        return self._prepare(statement, tuple(values))

    def _prepared(self, statement: Executable, names: tuple[str, ...]) -> PreparedStatement | None:
        return prepare(statement, names, self._dialect)
