"""Removes all factors of an account at once: by an administrator, after a recovery, and with the account."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Request, User
from sqlalchemy import delete, update

from authhost_mfa import authenticators, recovery_codes, trusted_browsers
from authhost_mfa.tables import account_table, authenticator_table, mailbox_codes_table
from authhost_mfa.values import NAME, RECOVERY_CODES, Authenticator


def reset(request: Request, user: User) -> int:
    """Remove all authenticators of a user, for an administrator; return how many there were.

    The row of the account stays: it has the user's id for WebAuthn.
    """
    authenticators.lock(request, user)
    found = _factors(request, user.id)
    delete_factors(request, user.id)
    unused = {"failures": 0, "next_try_at": None, "last_kind": None}
    request.db.execute(update(account_table).where(account_table.c.user_id == user.id).values(unused))
    request.logins.unguard(NAME, user.id)
    for each in found:
        request.call_hook("authenticator_removed", user=user, authenticator=each)
    return sum(each.kind != RECOVERY_CODES for each in found)


def delete_after_recovery(request: Request, user: User) -> None:
    """Delete all factors of an account that the owner of the mailbox has taken over, and its guard.

    They are of whoever has signed up with the address before. The host has locked the account.
    """
    found = _factors(request, user.id)
    delete_all(request, user.id)
    request.local(NAME)[authenticators.REMOVED] = user.id  # the login that may follow asks for none of them
    if NAME in user.login_guards:
        request.logins.unguard(NAME, user.id)
    for each in found:
        request.call_hook("authenticator_removed", user=user, authenticator=each)


def delete_all(request: Request, user_id: UUID) -> None:
    """Delete all rows about a user."""
    delete_factors(request, user_id)
    request.db.execute(delete(account_table).where(account_table.c.user_id == user_id))


def delete_factors(request: Request, user_id: UUID) -> None:
    """Delete the authenticators, recovery codes, codes of mailboxes and trusted browsers of a user."""
    of_mailboxes = mailbox_codes_table.c.user_id == user_id
    request.db.execute(delete(mailbox_codes_table).where(of_mailboxes))
    recovery_codes.delete_all(request, user_id)
    trusted_browsers.end_trust(request, user_id)
    request.db.execute(delete(authenticator_table).where(authenticator_table.c.user_id == user_id))


def _factors(request: Request, user_id: UUID) -> list[Authenticator]:
    """Return the authenticators and the recovery codes, within the transaction of the request."""
    found = authenticators.of_user_now(request, user_id)
    codes = recovery_codes.of_user_now(request, user_id)
    return [*found, codes] if codes is not None else found
