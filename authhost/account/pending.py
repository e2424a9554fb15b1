"""Logins that wait for the confirmation of their address.

A pending login is a row, bound to the browser that holds its token, to the
account's password and to one address. It does not affect who is logged in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from authhost.records import EmailAddress, LoginResult, User
from authhost.request import Request
from authhost.security.keys import digest, new_key, same_digest
from authhost.store import queries, statements

WAITS_FOR_EMAIL = "email_verification"


class PendingLogin(NamedTuple):
    """A login that waits in this browser."""

    id: UUID
    user: User
    address_id: UUID | None
    sent: datetime


def wait_for_verification(
    request: Request, user: User, address: EmailAddress | None, *, password: str | None
) -> LoginResult:
    """Let a login of ``user`` wait until ``address`` is confirmed. ``password`` is the stored hash."""
    settings, now, token = request.settings, request.now, new_key()
    lasts = max(settings.email_confirmation_timeout, settings.pending_login_timeout)
    request.send(
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
    return LoginResult(session_token or token, waits_for=WAITS_FOR_EMAIL, pending_token=token)


def wait_again(request: Request) -> LoginResult:
    """What `wait_for_verification` has returned for the login that waits in this browser."""
    token = request.pending_token or request.session_token or ""
    session_token = request.session_token if request.user is not None else None
    return LoginResult(session_token or token, waits_for=WAITS_FOR_EMAIL, pending_token=token)


def pending_login(request: Request) -> PendingLogin | None:
    """The login that waits in this browser, or None where none does or the password has changed since."""
    tokens = [request.pending_token]
    if request.user is None:
        # An application with one cookie keeps the token of a login that waits where that of a session goes.
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
    """Forget the login that waits in this browser."""
    pending = pending_login(request)
    if pending is not None:
        request.send(statements.DELETE_PENDING_LOGIN, {"of_id": pending.id})
    request.pending_token = None
