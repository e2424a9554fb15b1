"""What a new password invalidates, and the recovery of an account by the owner of its mailbox."""

from __future__ import annotations

from dataclasses import replace

from authhost.account.flow import attach_user
from authhost.account.sessions import end_sessions
from authhost.account.verification import store_primary, store_verified
from authhost.errors import Conflict, LoginUnavailable
from authhost.records import EmailAddress, User
from authhost.request import Request
from authhost.store import queries, statements


def cancel_pending_changes(request: Request, user: User) -> None:
    """Invalidate all links of the account, its unconfirmed addresses, and its pending logins.

    An attacker could use them to get back into an account that its owner has recovered
    (Sudhodanan and Paverd, Pre-hijacked accounts, 2022, section 6.2; ASVS 5.0, 7.4.3).
    The primary address stays, without its links.
    """
    delete_links(request, user)
    remove_unconfirmed(request, user, queries.addresses(request, user.id))


def delete_links(request: Request, user: User) -> None:
    """Delete the keys of all links of the account, and its pending logins."""
    request.send_statement(statements.DELETE_RESETS, {"of_user": user.id})
    request.send_statement(statements.DELETE_CONFIRMATIONS_OF_USER, {"of_user": user.id})
    request.send_statement(statements.DELETE_PENDING_LOGINS, {"of_user": user.id})


def remove_unconfirmed(request: Request, user: User, addresses: list[EmailAddress]) -> list[EmailAddress]:
    """Remove the ``addresses`` that are neither verified nor primary; return the others."""
    remaining = []
    for address in addresses:
        if address.verified or address.primary:
            remaining.append(address)
        else:
            _remove_address(request, user, address)
    return remaining


def recover_account(request: Request, user: User, address: EmailAddress) -> User:
    """Give the account to the owner of ``address``, an address of it that was never verified.

    The caller has proved who owns the mailbox, and has locked the account.
    An attacker may have prepared the account: its password, its sessions, its
    other addresses and its connections to providers are removed before the
    address counts as verified; plugins remove their credentials in `account_recovered`.
    The caller calls `complete_signup`. Returns the user as it is now. Raises `LoginUnavailable` while a
    plugin is blocked that takes part in logins and could not remove its credentials.
    """
    hooks = request.services.hooks
    for plugin in {*hooks.blocked_plugins("account_recovered")} & {*hooks.blocked_plugins("login_steps")}:
        raise attach_user(LoginUnavailable(plugin=plugin), user)
    request.send_statement(statements.WIPE_PASSWORD, {"of_user": user.id})
    user = replace(user, has_usable_password=False)
    end_sessions(request, user, "recovered")
    for other in queries.addresses(request, user.id):
        if other.id != address.id:
            _remove_address(request, user, other)
    delete_links(request, user)
    for account in queries.social_accounts(request, user.id):
        request.send_statement(statements.DELETE_SOCIAL_ACCOUNT, {"of_id": account.id, "of_user": user.id})
        hooks.social_account_removed(request, account)
    store_primary(request, store_verified(request, user, address))
    hooks.account_recovered(request, _current(request, user))
    return _current(request, user)  # a plugin may have removed its guard


def _current(request: Request, user: User) -> User:
    found = queries.account_by_id(request, user.id)
    if found is None:
        raise Conflict
    return found.user


def _remove_address(request: Request, user: User, address: EmailAddress) -> None:
    request.send_statement(statements.DELETE_ADDRESS, {"of_id": address.id})
    request.services.hooks.email_removed(request, user, address)
