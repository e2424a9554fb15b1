"""Who gets to the pages of administrators, and the account that a page or form is about."""

from __future__ import annotations

from uuid import UUID

from authhost.account.flow import check_change, require_recent_login
from authhost.account.open_login import require_guards
from authhost.errors import UserNotFound, Vetoed
from authhost.records import User
from authhost.users.administrators import is_administrator
from authhost.users.snapshot import Account, read_account
from authhost.web.problems import WebError
from authhost.web.visit import Visit


def require_administrator(visit: Visit) -> User:
    """Return the administrator, who has logged in lately, with a second factor if the account has one.

    Raises `LoginRequired`, and `WebError` for somebody else, as for a page that does not exist. An
    administrator gets `ReauthenticationRequired`, `LoginUnavailable` if a plugin that guards the account is
    missing, or `Vetoed` by a plugin, which names the page on which the second factor is used.
    """
    request, user = visit.request, visit.user
    if not may_administer(visit):
        raise WebError("not_found")
    require_guards(request, user)
    require_recent_login(request, request.settings.administration_timeout)
    check_change(request, user, "administer")
    return user


def may_administer(visit: Visit) -> bool:
    """Return whether the logged-in user is an administrator; False if a plugin that is asked fails."""
    try:
        return is_administrator(visit.request, visit.user)
    except Vetoed:
        return False


def user_id_of(visit: Visit) -> UUID:
    """Return which account a page or form is about; raises `UserNotFound`."""
    try:
        return UUID(str(visit.values.get("id") or visit.http.args.get("id", "")))
    except ValueError:
        raise UserNotFound from None


def account_of(visit: Visit) -> Account:
    """Return the account that a page or form is about; raises `UserNotFound`."""
    account = read_account(visit.request, user_id_of(visit))
    if account is None:
        raise UserNotFound
    return account


def name_of(user: User) -> str:
    """Return what people call an account: its address, its username, or its identifier."""
    return user.email or user.username or str(user.id)
