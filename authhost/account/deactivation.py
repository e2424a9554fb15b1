"""Deactivate an account: by its user, or by an administrator, who can reactivate it."""

from __future__ import annotations

from dataclasses import replace

from authhost.account.flow import check_change, flow, lock_login, require_recent_login
from authhost.account.recovery import cancel_pending_changes
from authhost.account.sessions import end_sessions
from authhost.records import User
from authhost.request import Request
from authhost.store import statements


@flow
def deactivate(request: Request) -> None:
    """Deactivate the account of the logged-in user: all sessions end, and no login works (ASVS 5.0, 7.4.2).

    Raises `LoginRequired`, `ReauthenticationRequired`.
    """
    require_recent_login(request)
    user = lock_login(request)
    check_change(request, user, "deactivate")
    deactivate_account(request, user)


def deactivate_account(request: Request, user: User) -> None:
    """Deactivate a locked account, call the hooks, and log out this request if it is the user's."""
    cancel_pending_changes(request, user)
    request.send_statement(statements.DEACTIVATE, {"of_user": user.id})
    own = request.user is not None and request.user.id == user.id
    if own:
        request.services.hooks.user_logged_out(request, user)
    end_sessions(request, user, "deactivated")
    request.services.hooks.user_deactivated(request, replace(user, is_active=False))
    if own:
        request.log_out()


def reactivate_account(request: Request, user: User) -> None:
    """Make a locked account active again. Its former sessions stay ended."""
    request.send_statement(statements.REACTIVATE, {"of_user": user.id})
    request.services.hooks.user_reactivated(request, replace(user, is_active=True))
