"""The SELECTs that more than one flow needs, and the records made of their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, select

from authhost import records
from authhost.store.models import EmailAddress, Session, User

if TYPE_CHECKING:
    from authhost.request import Request

_primary = EmailAddress.__table__.alias("primary_address")
_users: Select[Any] = select(
    User.id,
    User.username,
    _primary.c.email,
    User.is_active,
    User.password,
    User.date_joined,
    User.last_login,
).outerjoin(_primary, _primary.c.primary_of == User.id)


class Account(NamedTuple):
    """A user with the hash of the password, which leaves the flows in no record."""

    user: records.User
    password: str | None


def make_user(row: Row[Any]) -> records.User:
    """The record of a row of `_users`."""
    identifier, username, email, is_active, password, date_joined, last_login = tuple[Any, ...](row)[:7]
    return records.User(identifier, username, email, is_active, password is not None, date_joined, last_login)


def _account(request: Request, statement: Select[Any]) -> Account | None:
    rows = request.read(statement)
    return Account(make_user(rows[0]), rows[0].password) if rows else None


def account_by_id(request: Request, user_id: UUID) -> Account | None:
    """The account, or None."""
    return _account(request, _users.where(User.id == user_id))


def lock_account(request: Request, user_id: UUID) -> None:
    """Until this unit ends, other units that lock the account wait."""
    request.connection.execute(select(User.id).where(User.id == user_id).with_for_update())


def claimed_address(request: Request, key: str) -> records.EmailAddress | None:
    """The address as its account has it: verified, or the one that the account signed up with."""
    rows = request.read(select(EmailAddress.__table__).where(EmailAddress.claim_key == key))
    return make_address(rows[0]) if rows else None


def account_by_email(request: Request, key: str) -> Account | None:
    """The account that claims the address: its verified owner, or the one that signed up with it."""
    owner = select(EmailAddress.user_id).where(EmailAddress.claim_key == key).scalar_subquery()
    return _account(request, _users.where(User.id == owner))


def account_by_username(request: Request, key: str) -> Account | None:
    """The account of that name, or None."""
    return _account(request, _users.where(User.username_key == key))


def make_address(row: EmailAddress | Row[Any]) -> records.EmailAddress:
    """The record of an address."""
    return records.EmailAddress(row.id, row.user_id, row.email, row.verified, row.primary_of is not None)


def addresses(request: Request, user_id: UUID) -> list[records.EmailAddress]:
    """All addresses of a user, the oldest first."""
    rows = request.read(
        select(EmailAddress.__table__).where(EmailAddress.user_id == user_id).order_by(EmailAddress.id)
    )
    return [make_address(row) for row in rows]


def address_of(request: Request, user_id: UUID, key: str) -> records.EmailAddress | None:
    """The user's address with that key, or None."""
    rows = request.read(
        select(EmailAddress.__table__).where(EmailAddress.user_id == user_id, EmailAddress.email_key == key)
    )
    return make_address(rows[0]) if rows else None


_session_columns = (
    Session.id,
    Session.user_id,
    Session.created_at,
    Session.authenticated_at,
    Session.last_seen_at,
    Session.expires_at,
    Session.method,
    Session.ip_address,
    Session.user_agent,
)


def session_by_digest(request: Request, token_digest: bytes) -> tuple[records.Session, records.User] | None:
    """The session and its user, or None."""
    rows = request.read(
        _users.add_columns(*_session_columns)
        .join(Session, Session.user_id == User.id)
        .where(Session.token_digest == token_digest)
    )
    return (records.Session(*tuple(rows[0])[7:]), make_user(rows[0])) if rows else None


def sessions(request: Request, user_id: UUID) -> list[records.Session]:
    """All sessions of a user, the newest first."""
    rows = request.read(
        select(*_session_columns).where(Session.user_id == user_id).order_by(Session.id.desc())
    )
    return [records.Session(*tuple(row)) for row in rows]
