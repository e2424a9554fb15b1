"""The queries that more than one flow needs. They return records."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Executable, Select

from authhost import records
from authhost.store import statements
from authhost.store.prepared import Row

if TYPE_CHECKING:
    from authhost.store.unit_of_work import UnitOfWork

USER_COLUMNS = 11
PASSWORD_COLUMN = 4


class Account(NamedTuple):
    """A user with the hash of the password. The record of the user does not contain the hash."""

    user: records.User
    password: str | None


def make_user(row: Row, now: datetime) -> records.User:
    """Return the record of a row of `statements.USER`, active if its deactivation is over at ``now``."""
    user = row[:USER_COLUMNS]
    identifier, username, email, active, password, joined, last_login, verified, guards, until, reason = user
    active = active or (until is not None and until <= now)
    usable, verified = password is not None, bool(verified)
    return records.User(
        identifier, username, email, active, usable, joined, last_login, verified, guards, until, reason
    )


def _account(unit: UnitOfWork, statement: Select[Any], **values: Any) -> Account | None:
    rows = unit.read(statement, values)
    return Account(make_user(rows[0], unit.now), rows[0].password) if rows else None


def account_by_id(unit: UnitOfWork, user_id: UUID) -> Account | None:
    """Return the account, or None."""
    return _account(unit, statements.USER_BY_ID, of_user=user_id)


class Signup(NamedTuple):
    """An account, and whether its signup is complete."""

    account: Account
    complete: bool
    given: bytes | None
    """What the signup was given, encrypted, if it is not complete."""


def signup(unit: UnitOfWork, user_id: UUID) -> Signup | None:
    """Return the account with the state of its signup, or None."""
    rows = unit.read(statements.USER_AND_SIGNUP, {"of_user": user_id})
    if not rows:
        return None
    row = rows[0]
    return Signup(Account(make_user(row, unit.now), row.password), row.ready_at is not None, row.signup_given)


def is_unconfirmed_signup(unit: UnitOfWork, user_id: UUID) -> bool:
    """Return whether the account expires because its address was never confirmed."""
    return bool(unit.read(statements.UNCONFIRMED_SIGNUP, {"of_user": user_id}))


def is_expired_signup(unit: UnitOfWork, user_id: UUID, now: datetime) -> bool:
    """Return whether the account was not confirmed in time, and has no confirmation that is still valid."""
    return bool(unit.read(statements.EXPIRED_SIGNUP, {"of_user": user_id, "now": now}))


def account_by_email(unit: UnitOfWork, key: str) -> Account | None:
    """Return the account that claims the address: the one that verified it, or that signed up with it."""
    return _account(unit, statements.USER_BY_ADDRESS, of_key=key)


def accounts_by_email(unit: UnitOfWork, key: str) -> tuple[Account | None, Account | None]:
    """Return the account that has verified the address, and the latest unverified signup with it."""
    verified = unverified = None
    for row in unit.read(statements.USERS_BY_ADDRESS, {"of_key": key}):
        account = Account(make_user(row, unit.now), row.password)
        if row.address_verified:
            verified = account
        elif unverified is None:
            unverified = account
    return verified, unverified


def account_by_username(unit: UnitOfWork, key: str) -> Account | None:
    """Return the account with that username, or None."""
    return _account(unit, statements.USER_BY_NAME, of_key=key)


def lock_account(unit: UnitOfWork, user_id: UUID) -> None:
    """Lock the account until this unit ends. Other units that lock it wait.

    A flow locks the account before it writes any other row of it: two flows that
    lock the same rows in different orders would cause a deadlock.
    """
    unit.send_statement(statements.LOCK_USER, {"of_user": user_id})


def make_address(row: Row) -> records.EmailAddress:
    """Return the record of an address."""
    return records.EmailAddress(row.id, row.user_id, row.email, row.verified, row.primary_of is not None)


def _address(unit: UnitOfWork, statement: Select[Any], **values: Any) -> records.EmailAddress | None:
    rows = unit.read(statement, values)
    return make_address(rows[0]) if rows else None


def claimed_address(unit: UnitOfWork, key: str) -> records.EmailAddress | None:
    """Return the address of the account that claims it, or None."""
    return _address(unit, statements.CLAIMED_ADDRESS, of_key=key)


class Claim(NamedTuple):
    """The claim of an account on an address, and the state of that account."""

    address: records.EmailAddress
    ready: bool
    active: bool
    last_seen: datetime
    """The last use of a session, or else the last login, or the signup."""
    awaits_owner: bool
    """Whether an administrator has created the account, and its owner has not proved the address yet."""

    def is_kept_from(self, user: records.User) -> bool:
        """Return whether ``user`` cannot get the address by an unverified signup."""
        return self.address.user_id != user.id and (self.address.verified or self.awaits_owner)


def claim(unit: UnitOfWork, key: str) -> Claim | None:
    """Return the claim on the address, or None."""
    rows = unit.read(statements.CLAIM, {"of_key": key})
    if not rows:
        return None
    row = rows[0]
    seen = max(filter(None, (row.session_seen, row.last_login, row.date_joined)))
    return Claim(make_address(row), row.ready_at is not None, row.is_active, seen, bool(row.awaits_owner))


def address_of(unit: UnitOfWork, user_id: UUID, key: str) -> records.EmailAddress | None:
    """Return the user's address with that key, or None."""
    return _address(unit, statements.ADDRESS_OF_USER, of_user=user_id, of_key=key)


def addresses(unit: UnitOfWork, user_id: UUID) -> list[records.EmailAddress]:
    """Return all addresses of a user, oldest first."""
    return [make_address(row) for row in unit.read(statements.ADDRESSES, {"of_user": user_id})]


def session_by_digest(unit: UnitOfWork, token_digest: bytes) -> tuple[records.Session, Account] | None:
    """Return the session and its account, or None."""
    return _session(unit, statements.SESSION_AND_USER, of_digest=token_digest)


def session_by_id(unit: UnitOfWork, session_id: UUID) -> tuple[records.Session, Account] | None:
    """Return the session and its account, or None."""
    return _session(unit, statements.SESSION_BY_ID, of_id=session_id)


def _session(
    unit: UnitOfWork, statement: Select[Any], **values: Any
) -> tuple[records.Session, Account] | None:
    rows = unit.read(statement, values)
    if not rows:
        return None
    row = rows[0]
    return records.Session(*row[USER_COLUMNS:]), Account(make_user(row, unit.now), row[PASSWORD_COLUMN])


def user_of_session(unit: UnitOfWork, session_id: UUID, token_digest: bytes) -> records.User | None:
    """Return the current state of the user of a session, or None if the session or token was replaced."""
    values = {"of_id": session_id, "of_digest": token_digest}
    rows = unit.read(statements.USER_OF_SESSION, values)
    return make_user(rows[0], unit.now) if rows else None


def sessions(unit: UnitOfWork, user_id: UUID) -> list[records.Session]:
    """Return all sessions of a user, newest first."""
    return [records.Session(*row) for row in unit.read(statements.SESSIONS, {"of_user": user_id})]


def delete_sessions(
    unit: UnitOfWork, statement: Executable, user_id: UUID, **values: Any
) -> list[records.Session]:
    """Delete sessions of a user with ``statement``; return the deleted sessions."""
    rows = unit.write_returning(statement, {"of_user": user_id, **values})
    return [records.Session(*row) for row in rows]


def delete_impersonation(unit: UnitOfWork, session_id: UUID) -> list[records.Session]:
    """Delete the session of an impersonation, in whichever account it is; return it if it had not ended."""
    rows = unit.write_returning(statements.DELETE_IMPERSONATION, {"of_id": session_id})
    return [records.Session(*row) for row in rows]


def social_account(unit: UnitOfWork, issuer: str, uid: str) -> records.SocialAccount | None:
    """Return the connected account at a provider, or None."""
    rows = unit.read(statements.SOCIAL_ACCOUNT, {"of_issuer": issuer, "of_uid": uid})
    return records.SocialAccount.of_row(rows[0]) if rows else None


def social_accounts(unit: UnitOfWork, user_id: UUID) -> list[records.SocialAccount]:
    """Return all accounts at providers of a user, oldest first."""
    rows = unit.read(statements.SOCIAL_ACCOUNTS, {"of_user": user_id})
    return [records.SocialAccount.of_row(row) for row in rows]
