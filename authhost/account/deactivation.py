"""Deactivate an account: by its user, or by an administrator, who can reactivate it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from authhost.account.flow import check_change, flow, lock_login, require_recent_login
from authhost.account.recovery import cancel_pending_changes
from authhost.account.sessions import end_sessions
from authhost.errors import AuthError, RequiredPluginFailed
from authhost.records import User
from authhost.request import Request
from authhost.services import Services
from authhost.store import queries, statements

log = logging.getLogger("authhost")


@flow
def deactivate(request: Request) -> None:
    """Deactivate the account of the logged-in user: all sessions end, and no login works (ASVS 5.0, 7.4.2).

    Raises `LoginRequired`, `ReauthenticationRequired`.
    """
    require_recent_login(request)
    user = lock_login(request)
    check_change(request, user, "deactivate")
    deactivate_account(request, user)


def deactivate_account(
    request: Request, user: User, *, until: datetime | None = None, reason: str | None = None
) -> User:
    """Deactivate a locked account, call the hooks, and log out this request if it is the user's.

    It ends at the time ``until``; without one, somebody has to end it. Returns the user as it is now.
    """
    cancel_pending_changes(request, user)
    values = {"of_user": user.id, "now": request.now, "new_until": until, "new_reason": reason}
    request.send_statement(statements.DEACTIVATE, values)
    own = request.user is not None and request.user.id == user.id
    if own:
        request.services.hooks.user_logged_out(request, user)
    end_sessions(request, user, "deactivated")
    user = replace(user, is_active=False, deactivated_until=until, deactivation_reason=reason)
    request.services.hooks.user_deactivated(request, user)
    if own:
        request.log_out()
    return user


def reactivate_account(request: Request, user: User) -> None:
    """Make a locked account active again. Former sessions and logins stay ended."""
    if request.write(statements.REACTIVATE, {"of_user": user.id}):
        _call_reactivated(request, user)


def active_user(request: Request, user: User) -> User | None:
    """Return the user if the account is active. A deactivation that is over is ended in its row, too.

    Every flow that lets somebody in asks here, after the person has proved who they are. ``user`` may
    have been read long ago and without a lock: the database decides.
    """
    if user.deactivated_until is None or not user.is_active:
        return user if user.is_active else None
    if request.write(statements.END_DEACTIVATION, {"of_user": user.id, "now": request.now}):
        return _call_reactivated(request, user)
    account = queries.account_by_id(request, user.id)
    return account.user if account is not None and account.user.is_active else None


def _call_reactivated(request: Request, user: User) -> User:
    """Delete the logins that wait: one that was in flight may have stored itself since the deactivation."""
    request.send_statement(statements.DELETE_PENDING_LOGINS, {"of_user": user.id})
    user = replace(user, is_active=True, deactivated_until=None, deactivation_reason=None)
    request.services.hooks.user_reactivated(request, user)
    return user


def end_deactivations(services: Services) -> int:
    """Make all accounts active whose deactivation is over, each in its own transaction.

    Returns their number. An account for which a plugin fails is logged, and the next call tries again.
    """
    with services.database.reader.connect() as connection:
        found = connection.execute(statements.DEACTIVATIONS_THAT_END, {"now": services.clock()}).scalars()
        due = found.all()
    return sum(_end_deactivation(services, user_id) for user_id in due)


def _end_deactivation(services: Services, user_id: UUID) -> bool:
    try:
        with Request(services) as request:
            queries.lock_account(request, user_id)
            account = queries.account_by_id(request, user_id)
            if account is None or account.user.deactivated_until is None:
                return False
            return active_user(request, account.user) is not None
    except (AuthError, RequiredPluginFailed) as error:
        log.error("the account %s was not reactivated: %s", user_id, error)
        return False
