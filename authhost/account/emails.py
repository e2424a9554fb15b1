"""The addresses of an account: add, remove, make primary."""

from __future__ import annotations

from dataclasses import replace

from authhost.account.create import insert_address
from authhost.account.flow import check_change, flow, lock_login, require_login, require_recent_login
from authhost.account.verification import send_confirmation_mail, store_primary
from authhost.errors import (
    EmailAlreadyAdded,
    EmailNotFound,
    EmailNotVerified,
    PrimaryEmailRequired,
    TooManyEmails,
)
from authhost.records import EmailAddress, User
from authhost.request import Request
from authhost.security.inputs import Email, email as parse_email, email_key
from authhost.store import queries, statements


@flow
def add_email(request: Request, *, email: str) -> EmailAddress:
    """Add an address and send its confirmation.

    An address of another account is treated like a free one, but its confirmation
    is refused. In change-email mode it replaces an unconfirmed one. Raises
    `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`, `RateLimited`,
    `EmailAlreadyAdded`, `TooManyEmails`, `DeliveryFailed`.
    """
    given = parse_email(email)
    require_recent_login(request)
    request.services.limits.hit(request, "manage_email")
    user = lock_login(request)
    existing = queries.addresses(request, user.id)
    if any(email_key(each.email) == given.key for each in existing):
        raise EmailAlreadyAdded(field="email")
    check_email_limit(request, existing)
    check_change(request, user, "add_email", email=given.address)
    address = store_added(request, user, given)
    send_confirmation_mail(request, user, address, signup=False)
    request.services.hooks.email_added(request, user, address)
    return address


def check_email_limit(request: Request, existing: list[EmailAddress]) -> None:
    """Raise `TooManyEmails` if the account can have no further address."""
    settings = request.settings
    if not settings.change_email and len(existing) >= settings.max_email_addresses:
        raise TooManyEmails(limit=settings.max_email_addresses)


def store_added(request: Request, user: User, given: Email) -> EmailAddress:
    """Store an unconfirmed address. In change-email mode it replaces another unconfirmed one."""
    if request.settings.change_email:
        request.send_statement(statements.DELETE_WAITING_ADDRESSES, {"of_user": user.id})
    return insert_address(request, user, given, verified=False, primary=False, claims=False)


@flow
def remove_email(request: Request, *, email: str) -> EmailAddress:
    """Remove an address that is not the primary one; return it.

    Raises `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`,
    `RateLimited`, `EmailNotFound`, `PrimaryEmailRequired`.
    """
    user, address = _own_address(request, email)
    check_removable(address)
    check_change(request, user, "remove_email", email=address.email)
    delete_address(request, user, address)
    return address


def check_removable(address: EmailAddress) -> None:
    """Raise `PrimaryEmailRequired` for the primary address."""
    if address.primary:
        raise PrimaryEmailRequired(field="email")


def delete_address(request: Request, user: User, address: EmailAddress) -> None:
    """Delete an address that is not the primary one, and call `email_removed`."""
    request.send_statement(statements.DELETE_ADDRESS, {"of_id": address.id})
    _cancel_links(request, user, address)
    request.services.hooks.email_removed(request, user, address)


@flow
def make_primary(request: Request, *, email: str) -> EmailAddress:
    """Make an address the primary one. It must be verified if any address of the account is.

    Raises `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`,
    `RateLimited`, `EmailNotFound`, `EmailNotVerified`.
    """
    user, address = _own_address(request, email)
    if address.primary:
        return address
    others = queries.addresses(request, user.id)
    check_may_be_primary(address, others)
    check_change(request, user, "make_primary", email=address.email)
    return change_primary(request, user, address, others)


def check_may_be_primary(address: EmailAddress, others: list[EmailAddress]) -> None:
    """Raise `EmailNotVerified` if the address is unverified and another one of the account is not."""
    if not address.verified and any(each.verified for each in others):
        raise EmailNotVerified(field="email")


def change_primary(
    request: Request, user: User, address: EmailAddress, others: list[EmailAddress]
) -> EmailAddress:
    """Make an address the primary one, and call `email_changed`; ``others`` contains the former one."""
    previous = next((each for each in others if each.primary), None)
    store_primary(request, address)
    _cancel_links(request, user, address)
    address = replace(address, primary=True)
    fresh = queries.account_by_id(request, user.id)
    assert fresh is not None
    request.refresh(fresh.user)
    request.services.hooks.email_changed(request, fresh.user, previous, address)
    return address


def list_emails(request: Request) -> list[EmailAddress]:
    """Return the addresses of the logged-in user, oldest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.addresses(request, user.id)


def _own_address(request: Request, email: str) -> tuple[User, EmailAddress]:
    given = parse_email(email)
    require_recent_login(request)
    request.services.limits.hit(request, "manage_email")
    user = lock_login(request)
    address = queries.address_of(request, user.id, given.key)
    if address is None:
        raise EmailNotFound(field="email")
    return user, address


def _cancel_links(request: Request, user: User, address: EmailAddress) -> None:
    """Invalidate links that were sent before the addresses changed: an attacker may have requested them.

    The confirmation of ``address``, the address that is changed now, stays valid.
    """
    request.send_statement(statements.DELETE_RESETS, {"of_user": user.id})
    values = {"of_user": user.id, "of_id": address.id}
    request.send_statement(statements.DELETE_OTHER_CONFIRMATIONS, values)
    keys = [email_key(each.email) for each in queries.addresses(request, user.id)]
    request.services.limits.reset_mail_limit(request, keys)
