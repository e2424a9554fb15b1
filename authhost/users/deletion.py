"""Deletes accounts: one on request, and those whose signup was never confirmed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy.exc import DBAPIError, IntegrityError

from authhost.account import sessions
from authhost.errors import AuthError, Conflict, RequiredPluginFailed
from authhost.records import User
from authhost.request import Request
from authhost.services import Services
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock
from authhost.store.expired import expired_signups
from authhost.users.plugin_deletions import delete_data_of_plugins

log = logging.getLogger("authhost")

IN_USE = "A table of the application or of a plugin refers to this account. Delete those rows first."
PAGE = 500


def delete_account(request: Request, user: User) -> tuple[str, ...]:
    """Delete an account that the caller has locked, and call the hooks of its deletion.

    Rows that this unit has queued are stored before `user_deleted`, which deletes
    those of the account. Returns the plugins that failed to delete their data or are blocked:
    `repeat_deletions` calls them again. Raises `Conflict` if another table refers to the account.
    """
    sessions.end_all_sessions(request, user, "deleted")
    for account in queries.social_accounts(request, user.id):
        values = {"of_id": account.id, "of_user": user.id}
        request.send_statement(statements.DELETE_SOCIAL_ACCOUNT, values)
        request.services.hooks.social_account_removed(request, account)
    request.store_queued()
    try:
        with request.savepoint():
            request.send_statement(statements.DELETE_USER, {"of_user": user.id})
    except IntegrityError as error:
        raise Conflict(IN_USE, reason="in_use") from error
    return delete_data_of_plugins(request, user)


def delete_expired_signups(services: Services) -> int:
    """Delete accounts that were not confirmed in time, each in its own transaction; return their number.

    An account that cannot be deleted is logged, and the next call tries again.
    """
    return sum(_delete_expired_signup(services, user_id) for user_id in _expired_signups(services))


def _expired_signups(services: Services) -> Iterator[UUID]:
    page, last = PAGE, None
    while page == PAGE:
        found = expired_signups(services.database.engine, services.clock(), after=last, limit=PAGE)
        yield from found
        page, last = len(found), found[-1] if found else None


def _delete_expired_signup(services: Services, user_id: UUID) -> bool:
    try:
        with Request(services) as request:
            queries.lock_account(request, user_id)
            # It may have been confirmed since it was found, or got a new link.
            if not queries.is_expired_signup(request, user_id, services.clock()):
                return False
            account = queries.account_by_id(request, user_id)
            if account is None:
                return False
            delete_account(request, account.user)
    except (AuthError, RequiredPluginFailed) as error:
        log.error("the expired account %s was not deleted: %s", user_id, error)
        return False
    except DBAPIError as error:
        if not is_deadlock(error):
            raise
        log.error("the expired account %s was not deleted, because of a deadlock", user_id)
        return False
    return True
