"""Pending logins: logins that wait for a confirmed address, or for the steps of plugins.

A pending login is a row. It is bound to the browser that has its token and to the
account's password, and is used once: each step replaces it. It does not change who
is logged in.
"""

from __future__ import annotations

from datetime import timedelta

from authhost.account.open_login import EMAIL_STEP, OpenLogin, plugin_steps
from authhost.records import EmailAddress, LoginResult, PendingLogin, PendingStep
from authhost.request import Request
from authhost.security.keys import digest, new_key, same_digest
from authhost.store import queries, statements


def store_pending_login(
    request: Request,
    login: OpenLogin,
    steps: tuple[PendingStep, ...] = (EMAIL_STEP,),
    *,
    address: EmailAddress | None = None,
) -> LoginResult:
    """Store a login that waits for ``steps``; for that of the core, until ``address`` is confirmed."""
    settings, now, token = request.settings, request.now, new_key()
    lasts = settings.pending_login_timeout
    if steps[0] is EMAIL_STEP:
        lasts = max(settings.email_confirmation_timeout, lasts)
    request.send_statement(
        statements.INSERT_PENDING_LOGIN,
        {
            "id": request.new_id(),
            "user_id": login.user.id,
            "email_address_id": address.id if address is not None else None,
            "token_digest": digest(token),
            "password_digest": digest(login.password) if login.password is not None else None,
            "authentications": login.authentications,
            "done": login.done,
            "started": login.started,
            "sent": now,
            "expires": now + timedelta(seconds=lasts),
        },
    )
    request.pending_token = token
    return _result(request, token, steps)


def pending_login_result(request: Request) -> LoginResult:
    """Return the result of a login that waits for its address, and is the pending login of this browser."""
    return _result(request, request.pending_token or request.session_token or "", (EMAIL_STEP,))


def _result(request: Request, token: str, steps: tuple[PendingStep, ...]) -> LoginResult:
    session_token = request.session_token if request.user is not None else None
    return LoginResult(session_token or token, waits_for=steps[0].key, pending_token=token, steps=steps)


def pending_login(request: Request) -> OpenLogin | None:
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
        row = rows[0]
        if row.email_address_id is None and not row.authentications:  # from before version 0.2
            continue
        current = digest(account.password) if account.password is not None else None
        if same_digest(row.password_digest, current):
            return OpenLogin(
                account.user,
                row.authentications,
                row.started or row.sent,
                account.password,
                done=row.done,
                row_id=row.id,
                address_id=row.email_address_id,
                sent=row.sent,
            )
    return None


def known_pending_login(request: Request) -> tuple[PendingLogin, tuple[PendingStep, ...]] | None:
    """Return the pending login of this browser as plugins see it, and its steps; None if there is none.

    A unit of work reads it once.
    """
    token = request.pending_token or request.session_token
    if request.known_pending is not None and request.known_pending[0] == token:
        return request.known_pending[1]
    login = pending_login(request)
    if login is None:
        return None
    steps = _steps_of(request, login)
    if login.address_id is not None and not steps:  # its address was confirmed in another browser
        return None
    found = login.for_plugins(request, steps), steps
    request.known_pending = token, found
    return found


def waiting_steps(request: Request) -> tuple[PendingStep, ...]:
    """Return what the pending login of this browser waits for; nothing if there is none."""
    login = pending_login(request)
    return _steps_of(request, login) if login is not None else ()


def end_pending_login(request: Request) -> None:
    """Delete the pending login of this browser."""
    pending = pending_login(request)
    if pending is not None:
        request.send_statement(statements.DELETE_PENDING_LOGIN, {"of_id": pending.row_id})
    request.pending_token = None


def _steps_of(request: Request, login: OpenLogin) -> tuple[PendingStep, ...]:
    """Return what a pending login waits for; nothing if it can only be begun again."""
    if login.address_id is not None:
        found = queries.addresses(request, login.user.id)
        waits = any(each.id == login.address_id and not each.verified for each in found)
        return (EMAIL_STEP,) if waits else ()
    return plugin_steps(request, login)
