"""Column types that return exactly the value that was written, or raise ValueError.

A change of a single bit in the database must be detected. SQLite stores
identifiers and times as text, and several texts could mean the same value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, DateTime, Dialect, LargeBinary, TypeDecorator, Uuid
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

SQLITE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


class Identifier(TypeDecorator[UUID]):
    """A UUID. On SQLite it is stored as 32 hexadecimal digits in lower case."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(CHAR(32) if dialect.name == "sqlite" else Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value.hex if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        if not isinstance(value, str):
            stored: UUID | None = value
            return stored
        found = UUID(hex=value)
        if found.hex != value:
            raise ValueError("the stored identifier is not in the form in which it was written")
        return found


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC with a resolution of a microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(CHAR(26))
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        naive = value.astimezone(UTC).replace(tzinfo=None)
        return naive.strftime(SQLITE_FORMAT) if dialect.name == "sqlite" else naive

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            found = datetime.strptime(value, SQLITE_FORMAT)
            if found.strftime(SQLITE_FORMAT) != value:
                raise ValueError("the stored time is not in the form in which it was written")
            value = found
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def fixed(length: int) -> LargeBinary:
    """Return the type of a binary column with exactly ``length`` bytes."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


# Old names, which are removed in version 0.3.
Moment = UtcDateTime
