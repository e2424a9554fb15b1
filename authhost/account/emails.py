"""The addresses of an account: confirm, add, remove, make primary."""

from __future__ import annotations

from authhost.account.flow import flow, lock_login, require_login, require_recent_login
from authhost.account.login import leave, start_session, waiting_user
from authhost.account.verification import (
    mark_ready,
    send_confirmation_mail,
    store_primary,
    store_verified,
)
from authhost.errors import (
    EmailAlreadyAdded,
    EmailNotFound,
    EmailNotVerified,
    InvalidKey,
    PrimaryEmailRequired,
    TooManyEmails,
)
from authhost.inputs import email as parse_email
from authhost.inputs import email_key, text
from authhost.keys import digest
from authhost.records import ConfirmResult, EmailAddress, User
from authhost.request import Request
from authhost.store import queries, statements


@flow
def confirm_email(request: Request, *, key: str) -> ConfirmResult:
    """Confirm an address by the key of the mail; a page does this by POST alone.

    Logs in where ``login_on_email_confirmation`` is on and the browser is the
    one whose login waits for it. Raises `InvalidInput`, `InvalidKey` (unknown,
    used, expired) and `EmailTaken` (another account has verified it meanwhile).
    """
    host, settings = request.host, request.settings
    given = text(key, "key", 128)
    host.limits.hit(request, "confirm_email_from_key")
    found = _take_key(request, given)
    account = queries.account_by_id(request, found.user_id)
    if account is None or not account.user.is_active:
        raise InvalidKey
    address = store_verified(request, account.user, found)
    previous = None
    if settings.change_email:
        previous = _drop_others(request, address)
    if not address.primary and (settings.change_email or account.user.email is None):
        store_primary(request, address)
        address = EmailAddress(address.id, address.user_id, address.email, True, True)
    request.write(statements.DELETE_RESETS, {"of_user": address.user_id})
    waits = waiting_user(request) == address.user_id
    fresh = queries.account_by_id(request, address.user_id)
    assert fresh is not None
    request.refresh(fresh.user)
    host.hooks.email_confirmed(request, address)
    if settings.change_email:
        host.hooks.email_changed(request, fresh.user, previous, address)
    mark_ready(request, fresh.user)
    if request.user is not None and request.user.id != address.user_id:
        leave(request)
    if waits and settings.login_on_email_confirmation:
        login = start_session(request, fresh.user, "email_confirmation", if_password=fresh.password)
        return ConfirmResult(address, login)
    return ConfirmResult(address)


@flow
def send_confirmation(request: Request, *, email: str) -> bool:
    """Send the confirmation of one of the logged-in user's addresses again.

    Returns False where nothing was sent: the address is verified, or one was
    sent within the cool-down. Raises `LoginRequired`, `InvalidEmail`,
    `EmailNotFound`, `DeliveryFailed`.
    """
    key = parse_email(email).key
    user = lock_login(request)
    address = queries.address_of(request, user.id, key)
    if address is None:
        raise EmailNotFound(field="email")
    return False if address.verified else send_confirmation_mail(request, user, address, signup=False)


@flow
def add_email(request: Request, *, email: str) -> EmailAddress:
    """Add an address and send its confirmation.

    An address of another account is treated like a free one; its confirmation
    is refused. In change-email mode it replaces one that waits. Raises
    `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`, `RateLimited`,
    `EmailAlreadyAdded`, `TooManyEmails`, `DeliveryFailed`.
    """
    settings = request.settings
    given = parse_email(email)
    require_recent_login(request)
    request.host.limits.hit(request, "manage_email")
    user = lock_login(request)
    existing = queries.addresses(request, user.id)
    if any(email_key(each.email) == given.key for each in existing):
        raise EmailAlreadyAdded(field="email")
    if settings.change_email:
        request.write(statements.DELETE_WAITING_ADDRESSES, {"of_user": user.id})
    elif len(existing) >= settings.max_email_addresses:
        raise TooManyEmails(limit=settings.max_email_addresses)
    address = EmailAddress(request.new_id(), user.id, given.address, False, False)
    request.write(
        statements.INSERT_ADDRESS,
        {
            "id": address.id,
            "user_id": user.id,
            "email": given.address,
            "email_key": given.key,
            "verified": False,
        },
    )
    send_confirmation_mail(request, user, address, signup=False)
    request.host.hooks.email_added(request, user, address)
    return address


@flow
def remove_email(request: Request, *, email: str) -> EmailAddress:
    """Remove an address that is not the primary one; return what it was.

    Raises `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`,
    `RateLimited`, `EmailNotFound`, `PrimaryEmailRequired`.
    """
    user, address = _own_address(request, email)
    if address.primary:
        raise PrimaryEmailRequired(field="email")
    request.write(statements.DELETE_ADDRESS, {"of_id": address.id})
    request.write(statements.DELETE_RESETS, {"of_user": user.id})
    request.host.hooks.email_removed(request, user, address)
    return address


@flow
def make_primary(request: Request, *, email: str) -> EmailAddress:
    """Make an address the primary one. An unverified one cannot follow a verified one.

    Raises `InvalidEmail`, `LoginRequired`, `ReauthenticationRequired`,
    `RateLimited`, `EmailNotFound`, `EmailNotVerified`.
    """
    user, address = _own_address(request, email)
    if address.primary:
        return address
    others = queries.addresses(request, user.id)
    if not address.verified and any(each.verified for each in others):
        raise EmailNotVerified(field="email")
    previous = next((each for each in others if each.primary), None)
    store_primary(request, address)
    request.write(statements.DELETE_RESETS, {"of_user": user.id})
    address = EmailAddress(address.id, address.user_id, address.email, address.verified, True)
    fresh = queries.account_by_id(request, user.id)
    assert fresh is not None
    request.refresh(fresh.user)
    request.host.hooks.email_changed(request, fresh.user, previous, address)
    return address


def list_emails(request: Request) -> list[EmailAddress]:
    """The addresses of the logged-in user, the oldest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.addresses(request, user.id)


def _own_address(request: Request, email: str) -> tuple[User, EmailAddress]:
    given = parse_email(email)
    require_recent_login(request)
    request.host.limits.hit(request, "manage_email")
    user = lock_login(request)
    address = queries.address_of(request, user.id, given.key)
    if address is None:
        raise EmailNotFound(field="email")
    return user, address


def _take_key(request: Request, key: str) -> EmailAddress:
    """The address that the key is for; the key works this once."""
    rows = request.read(statements.CONFIRMED_ADDRESS, {"of_digest": digest(key), "now": request.now})
    if not rows or rows[0].verified:
        raise InvalidKey
    queries.lock_account(request, rows[0].user_id)
    if not request.write(statements.DELETE_CONFIRMATION, {"of_digest": digest(key)}):
        raise InvalidKey
    return queries.make_address(rows[0])


def _drop_others(request: Request, address: EmailAddress) -> EmailAddress | None:
    """Change-email mode keeps one address; return the primary one that goes."""
    others = [each for each in queries.addresses(request, address.user_id) if each.id != address.id]
    request.write(statements.DELETE_OTHER_ADDRESSES, {"of_user": address.user_id, "of_id": address.id})
    return next((each for each in others if each.primary), None)
