"""Pending logins: logins that need a confirmed address before they are complete.

A pending login is a row. It is bound to the browser that has its token, to the
account's password and to one address. It does not change who is logged in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from authhost.records import EmailAddress, LoginResult, User
from authhost.request import Request
from authhost.security.keys import digest, new_key, same_digest
from authhost.store import queries, statements

EMAIL_VERIFICATION = "email_verification"


class PendingLogin(NamedTuple):
    """The pending login of this browser."""

    id: UUID
    user: User
    address_id: UUID | None
    sent: datetime


def store_pending_login(
    request: Request, user: User, address: EmailAddress | None, *, password: str | None
) -> LoginResult:
    """Store a pending login of ``user``, until ``address`` is confirmed. ``password`` is the stored hash."""
    settings, now, token = request.settings, request.now, new_key()
    lasts = max(settings.email_confirmation_timeout, settings.pending_login_timeout)
    request.send_statement(
        statements.INSERT_PENDING_LOGIN,
        {
            "id": request.new_id(),
            "user_id": user.id,
            "email_address_id": address.id if address is not None else None,
            "token_digest": digest(token),
            "password_digest": digest(password) if password is not None else None,
            "sent": now,
            "expires": now + timedelta(seconds=lasts),
        },
    )
    request.pending_token = token
    session_token = request.session_token if request.user is not None else None
    return LoginResult(session_token or token, waits_for=EMAIL_VERIFICATION, pending_token=token)


def pending_login_result(request: Request) -> LoginResult:
    """Return the result that `store_pending_login` returned for the pending login of this browser."""
    token = request.pending_token or request.session_token or ""
    session_token = request.session_token if request.user is not None else None
    return LoginResult(session_token or token, waits_for=EMAIL_VERIFICATION, pending_token=token)


def pending_login(request: Request) -> PendingLogin | None:
    """Return the pending login of this browser, or None. A change of the password invalidates it."""
    tokens = [request.pending_token]
    if request.user is None:
        # An application with one cookie stores the token of a pending login as its session token.
        tokens.append(request.session_token)
    for token in tokens:
        if not isinstance(token, str) or not 0 < len(token) <= 128:
            continue
        rows = request.read(statements.PENDING_LOGIN, {"of_digest": digest(token), "now": request.now})
        account = queries.account_by_id(request, rows[0].user_id) if rows else None
        if account is None or not account.user.is_active:
            continue
        current = digest(account.password) if account.password is not None else None
        if same_digest(rows[0].password_digest, current):
            return PendingLogin(rows[0].id, account.user, rows[0].email_address_id, rows[0].sent)
    return None


def end_pending_login(request: Request) -> None:
    """Delete the pending login of this browser."""
    pending = pending_login(request)
    if pending is not None:
        request.send_statement(statements.DELETE_PENDING_LOGIN, {"of_id": pending.id})
    request.pending_token = None
