"""Column types that read back exactly what was written, or fail: one bit more or less must not go unseen.

SQLite keeps identifiers and times as text, of which several forms mean the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, DateTime, Dialect, LargeBinary, TypeDecorator, Uuid
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

FORM = "%Y-%m-%d %H:%M:%S.%f"


class Identifier(TypeDecorator[UUID]):
    """A UUID; on SQLite 32 hexadecimal digits in lower case."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(CHAR(32) if dialect.name == "sqlite" else Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value.hex if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        if not isinstance(value, str):
            unchanged: UUID | None = value
            return unchanged
        found = UUID(hex=value)
        if found.hex != value:
            raise ValueError("an identifier is not as it was written")
        return found


class Moment(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond."""

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
        return naive.strftime(FORM) if dialect.name == "sqlite" else naive

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            found = datetime.strptime(value, FORM)
            if found.strftime(FORM) != value:
                raise ValueError("a time is not as it was written")
            value = found
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def fixed(length: int) -> LargeBinary:
    """Bytes of a fixed length."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")
