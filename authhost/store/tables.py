"""The tables. ``metadata`` is public: an application's own tables may refer to ``authhost_user.id``.

Uniqueness is held by the database in a form that SQLite, PostgreSQL and
MariaDB share: a nullable column under a unique constraint, filled only in the
rows that claim the value (MariaDB has no partial index).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    VARBINARY,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    and_,
    false,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB
from sqlalchemy.types import TypeEngine

from authhost.records import (
    ACTOR_NAME_LENGTH,
    EMAIL_LENGTH,
    PICTURE_LENGTH,
    PROFILE_NAME_LENGTH,
    REASON_LENGTH,
    Authentication,
)

# SQLAlchemy knows MariaDB by both names. Names and uids are compared byte by byte, as elsewhere.
TABLE_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
SEALED = LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")
USERNAME_KEY_LENGTH, EMAIL_KEY_LENGTH = 600, EMAIL_LENGTH * 2


def sorted_by_bytes(length: int) -> TypeEngine[str]:
    """Return the type of a text whose beginning can be searched by its index, on every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


KEY_DIGEST = LargeBinary(32).with_variant(VARBINARY(32), "mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware time in UTC, with microseconds, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects import mysql

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


class Words(TypeDecorator[tuple[str, ...]]):
    """A few words, such as names of plugins, of 1000 characters in all; NULL if there is none."""

    impl = String(1000)
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        return " ".join(value) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value.split()) if value else ()


class LongWords(Words):
    """Words of any total length, such as keys of steps."""

    impl = Text()
    cache_ok = True


class Authentications(TypeDecorator[tuple[Authentication, ...]]):
    """How somebody has authenticated, as JSON; NULL if it was not stored."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: tuple[Authentication, ...] | None, dialect: Dialect) -> str | None:
        if not value:
            return None
        rows = [[each.method, each.time.isoformat(), each.provider, each.factors] for each in value]
        return json.dumps(rows, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Authentication, ...]:
        if not value:
            return ()
        return tuple(
            Authentication(method, datetime.fromisoformat(time), provider, tuple(factors))
            for method, time, provider, factors in json.loads(value)
        )


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[Any]:
    return Column("id", Uuid(), primary_key=True)


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime(), nullable=nullable)


def _belongs_to(table: str, name: str, *, nullable: bool = False, index: bool = True) -> Column[Any]:
    key = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(name, Uuid(), key, nullable=nullable, index=index)


def _index_of_few(name: str, column: Column[Any], condition: ColumnElement[bool]) -> None:
    """Index only the rows that an administrator looks for among millions. MariaDB has no such indexes."""
    index = Index(name, column, postgresql_where=condition, sqlite_where=condition)
    index.ddl_if(callable_=_has_partial_indexes)


def _has_partial_indexes(*arguments: Any, dialect: Dialect, **others: Any) -> bool:
    return dialect.name in ("postgresql", "sqlite")


users = Table(
    "authhost_user",
    metadata,
    _id(),
    Column("username", String(150)),
    Column("username_key", sorted_by_bytes(USERNAME_KEY_LENGTH), unique=True),
    Column("password", String(255)),
    Column("is_active", Boolean(), nullable=False),
    _time("ready_at", nullable=True),
    _time("signup_expires", nullable=True),
    Column("signup_given", SEALED),
    _time("date_joined"),
    _time("last_login", nullable=True),
    Column("login_guards", Words()),
    Column("deactivated_at", UtcDateTime(), index=True),
    _time("deactivated_until", nullable=True),
    Column("deactivation_reason", String(REASON_LENGTH)),
    # True if an administrator has created the account, and its owner has not proved the address yet.
    Column("awaits_owner", Boolean()),
    **TABLE_OPTIONS,
)
_index_of_few("ix_authhost_user_deactivated", users.c.id, users.c.is_active == false())
_index_of_few("ix_authhost_user_guarded", users.c.id, users.c.login_guards.is_not(None))
_index_of_few("ix_authhost_user_passwordless", users.c.id, users.c.password.is_(None))

# `claim_key` is filled where the address is verified, or primary and claimed by no other account: a signup
# with an address that another account has verified is stored like any other, but claims nothing.
addresses = Table(
    "authhost_email_address",
    metadata,
    _id(),
    _belongs_to("authhost_user", "user_id", index=False),
    Column("email", String(EMAIL_LENGTH), nullable=False),
    Column("email_key", sorted_by_bytes(EMAIL_KEY_LENGTH), nullable=False, index=True),
    Column("verified", Boolean(), nullable=False),
    Column("claim_key", String(EMAIL_KEY_LENGTH), unique=True),
    Column("primary_of", Uuid(), unique=True),
    UniqueConstraint("user_id", "email_key"),
    CheckConstraint("NOT verified OR claim_key IS NOT NULL", name="verified_is_claimed"),
    **TABLE_OPTIONS,
)
unverified_primary = and_(addresses.c.primary_of.is_not(None), addresses.c.verified == false())
_index_of_few("ix_authhost_email_address_unverified", addresses.c.primary_of, unverified_primary)

# Of a key only a digest is kept.
confirmations = Table(
    "authhost_email_confirmation",
    metadata,
    _id(),
    _belongs_to("authhost_email_address", "email_address_id"),
    Column("key_digest", KEY_DIGEST, nullable=False, unique=True),
    _time("sent"),
    _time("expires"),
    **TABLE_OPTIONS,
)

# Without a user where the address was unknown: the work is the same. The address is the one that the link
# was sent to: the link proves that mailbox.
resets = Table(
    "authhost_password_reset",
    metadata,
    _id(),
    _belongs_to("authhost_user", "user_id", nullable=True),
    _belongs_to("authhost_email_address", "email_address_id", nullable=True),
    Column("key_digest", KEY_DIGEST, nullable=False, unique=True),
    _time("sent"),
    _time("expires"),
    **TABLE_OPTIONS,
)

sessions = Table(
    "authhost_session",
    metadata,
    _id(),
    _belongs_to("authhost_user", "user_id"),
    Column("token_digest", KEY_DIGEST, nullable=False, unique=True),
    _time("created_at"),
    _time("authenticated_at"),
    _time("last_seen_at"),
    _time("expires_at"),
    Column("method", String(64), nullable=False),
    Column("provider", String(64)),
    Column("ip_address", String(45)),
    Column("user_agent", String(512), nullable=False),
    Column("authentications", Authentications()),
    # An impersonation: who works in the account and why, and the session with which it ends. That session
    # refers to the impersonation, so that its end needs no search.
    Column("actor_id", Uuid()),
    Column("actor_name", String(ACTOR_NAME_LENGTH)),
    Column("actor_session_id", Uuid()),
    Column("impersonation_reason", String(REASON_LENGTH)),
    Column("impersonation_id", Uuid()),
    **TABLE_OPTIONS,
)

# A login that waits for a confirmed address, or for steps of plugins. It is bound to the browser that has
# the token, and to the password at that time (a digest of the stored hash, or NULL if the account has none).
pending_logins = Table(
    "authhost_pending_login",
    metadata,
    _id(),
    _belongs_to("authhost_user", "user_id"),
    _belongs_to("authhost_email_address", "email_address_id", nullable=True),
    Column("token_digest", KEY_DIGEST, nullable=False, unique=True),
    Column("password_digest", KEY_DIGEST),
    Column("authentications", Authentications()),
    Column("done", LongWords()),
    _time("started", nullable=True),
    _time("sent"),
    _time("expires"),
    **TABLE_OPTIONS,
)

# A person is (issuer, uid), never an address. `issuer` is an OpenID issuer, a server, or a provider's id.
social_accounts = Table(
    "authhost_social_account",
    metadata,
    _id(),
    _belongs_to("authhost_user", "user_id"),
    Column("provider", String(64), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("uid", String(255), nullable=False),
    Column("extra_data", JSON(), nullable=False),
    _time("date_joined"),
    _time("last_login"),
    Column("name", String(PROFILE_NAME_LENGTH)),
    Column("username", String(PROFILE_NAME_LENGTH)),
    Column("picture", String(PICTURE_LENGTH)),
    UniqueConstraint("issuer", "uid"),
    **TABLE_OPTIONS,
)

# `sealed` is encrypted, see `authhost.security.encryption`.
social_tokens = Table(
    "authhost_social_token",
    metadata,
    Column(
        "account_id", Uuid(), ForeignKey("authhost_social_account.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("provider", String(64), nullable=False),
    Column("sealed", SEALED, nullable=False),
    _time("updated_at"),
    **TABLE_OPTIONS,
)

# What a person has begun and comes back to: a redirect to a provider, a signup that asks for more, or the
# link by which an operator goes to the account of a user.
social_steps = Table(
    "authhost_social_step",
    metadata,
    _id(),
    Column("key_digest", KEY_DIGEST, nullable=False, unique=True),
    Column("sealed", SEALED, nullable=False),
    _time("sent"),
    _time("expires"),
    **TABLE_OPTIONS,
)

# Plugins that have not deleted their data of a deleted account yet. The account as it was is encrypted.
plugin_deletions = Table(
    "authhost_plugin_deletion",
    metadata,
    _id(),
    Column("user_id", Uuid(), nullable=False),
    Column("plugin", String(150), nullable=False),
    Column("sealed", SEALED, nullable=False),
    _time("since"),
    Column("attempts", Integer(), nullable=False),
    **TABLE_OPTIONS,
)

# Written by `authhost.store.migrate`.
migrations = Table(
    "authhost_migration",
    metadata,
    Column("name", String(150), primary_key=True),
    Column("revision", String(32), primary_key=True),
    Column("what", String(255), nullable=False),
    Column("compatible_from", String(32)),
    _time("applied_at"),
    **TABLE_OPTIONS,
)

# The plugins that an operator has blocked at run time. Every host reads them every few seconds.
blocked_plugins = Table(
    "authhost_blocked_plugin",
    metadata,
    Column("plugin", String(128), primary_key=True),
    _time("since"),
    Column("blocked_by", String(150), nullable=False),
    Column("reason", String(REASON_LENGTH), nullable=False),
    **TABLE_OPTIONS,
)
