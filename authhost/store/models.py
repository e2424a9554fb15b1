"""The tables. ``metadata`` is public: an application's own tables may refer to ``authhost_user.id``.

Uniqueness is held by the database in a form that SQLite, PostgreSQL and
MariaDB share: a nullable column under a unique constraint, filled only in the
rows that claim the value (MariaDB has no partial index).
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Dialect,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

EMAIL_LENGTH = 254
TABLE_OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The base of authhost's models."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), UUID: Uuid()}  # noqa: RUF012


class User(Base):
    """An account."""

    __tablename__ = "authhost_user"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str | None] = mapped_column(String(150))
    username_key: Mapped[str | None] = mapped_column(String(600), unique=True)
    password: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool]
    ready_at: Mapped[datetime | None]
    date_joined: Mapped[datetime]
    last_login: Mapped[datetime | None]


class EmailAddress(Base):
    """An address. ``claim_key`` is filled where it is verified, or primary and not verified elsewhere."""

    __tablename__ = "authhost_email_address"
    __table_args__ = (
        UniqueConstraint("user_id", "email_key"),
        CheckConstraint("NOT verified OR claim_key IS NOT NULL", name="verified_is_claimed"),
        TABLE_OPTIONS,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("authhost_user.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(String(EMAIL_LENGTH * 2), index=True)
    verified: Mapped[bool]
    claim_key: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH * 2), unique=True)
    primary_of: Mapped[UUID | None] = mapped_column(unique=True)


class EmailConfirmation(Base):
    """A confirmation that was sent; of its key only a digest is kept."""

    __tablename__ = "authhost_email_confirmation"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email_address_id: Mapped[UUID] = mapped_column(
        ForeignKey("authhost_email_address.id", ondelete="CASCADE"), index=True
    )
    key_digest: Mapped[bytes] = mapped_column(
        LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"), unique=True
    )
    sent: Mapped[datetime]
    expires: Mapped[datetime]


class PasswordReset(Base):
    """A reset that was asked for. Without a user where the address was unknown: the work is the same."""

    __tablename__ = "authhost_password_reset"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("authhost_user.id", ondelete="CASCADE"), index=True
    )
    key_digest: Mapped[bytes] = mapped_column(
        LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"), unique=True
    )
    sent: Mapped[datetime]
    expires: Mapped[datetime]


class Session(Base):
    """A logged-in session; of its token only a digest is kept."""

    __tablename__ = "authhost_session"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("authhost_user.id", ondelete="CASCADE"), index=True)
    token_digest: Mapped[bytes] = mapped_column(
        LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"), unique=True
    )
    created_at: Mapped[datetime]
    authenticated_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    method: Mapped[str] = mapped_column(String(64))
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(512))


metadata = Base.metadata
"""authhost's own tables, for foreign keys of the application."""
