"""The addresses of an account: confirm, add, remove, make primary."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from authhost.account.create import insert_address
from authhost.account.flow import flow, lock_login, require_login, require_recent_login
from authhost.account.login import start_session
from authhost.account.pending import PendingLogin, pending_login, wait_again
from authhost.account.recovery import recover_account
from authhost.account.sessions import leave
from authhost.account.verification import (
    mark_ready,
    may_claim,
    send_confirmation_mail,
    store_primary,
    store_verified,
)
from authhost.errors import (
    Conflict,
    EmailAlreadyAdded,
    EmailNotFound,
    EmailNotVerified,
    InvalidCredentials,
    InvalidKey,
    LoginRequired,
    PrimaryEmailRequired,
    TooManyEmails,
)
from authhost.inputs import email as parse_email
from authhost.inputs import email_key, text
from authhost.keys import digest
from authhost.records import ConfirmResult, EmailAddress, LoginResult, User
from authhost.request import Request
from authhost.store import queries, statements


@flow
def confirm_email(request: Request, *, key: str, password: str | None = None) -> ConfirmResult:
    """Confirm an address by the key of the mail; a page does this by POST alone.

    The first confirmation of an account gives it to the owner of the mailbox.
    Its credentials stay where they are proved to be the owner's: the browser is
    the one of the signup (``pending_token``, ``session_token``,
    ``device_token``), or ``password`` is the account's. Otherwise password,
    connections and sessions are removed, and ``recovered`` is true: anybody can
    sign up with an address of somebody else and wait for the click.

    Logs in where ``login_on_email_confirmation`` is on and the login of this
    browser waits for the address. Raises `InvalidInput`, `InvalidKey` (unknown,
    used, expired), `InvalidCredentials` (``password`` is wrong; the key still
    works), `RateLimited`, and `EmailTaken` (another account has verified it
    meanwhile).
    """
    settings = request.settings
    given = text(key, "key", 128)
    request.host.limits.hit(request, "confirm_email_from_key")
    proved = _prove_password(request, given, password) if password is not None else None
    found = _take_key(request, given)
    account = queries.account_by_id(request, found.user_id)
    if account is None or not account.user.is_active:
        raise InvalidKey
    pending = pending_login(request)
    if pending is not None and pending.user.id != account.user.id:
        pending = None
    logged_in = request.user is not None and request.user.id == account.user.id
    same_browser = logged_in or pending is not None or request.known_device(account.user) is not None
    is_owners = same_browser or (proved is not None and proved == account.password)
    addresses = queries.addresses(request, account.user.id)
    first = found.primary or not any(each.verified for each in addresses)
    previous = None
    if first and not is_owners:
        recover_account(request, account.user, found)
        address = replace(found, verified=True, primary=True)
    else:
        address = store_verified(request, account.user, found)
        if settings.change_email:
            previous = _drop_others(request, address)
        if not address.primary and (settings.change_email or account.user.email is None):
            store_primary(request, address)
            address = replace(address, primary=True)
    request.write(statements.DELETE_RESETS, {"of_user": address.user_id})
    request.write(statements.DELETE_PENDING_LOGINS, {"of_user": address.user_id})
    fresh = queries.account_by_id(request, address.user_id)
    assert fresh is not None
    request.refresh(fresh.user)
    request.host.hooks.email_confirmed(request, address)
    if settings.change_email:
        request.host.hooks.email_changed(request, fresh.user, previous, address)
    mark_ready(request, fresh.user)
    if request.user is not None and request.user.id != address.user_id:
        leave(request)
    if pending is None:
        return ConfirmResult(address, recovered=first and not is_owners)
    request.pending_token = None
    if not settings.login_on_email_confirmation or not _still_waits(request, pending, address):
        return ConfirmResult(address)
    login = start_session(request, fresh.user, "email_confirmation", if_password=fresh.password)
    return ConfirmResult(address, login)


@flow
def send_confirmation(request: Request, *, email: str | None = None) -> bool:
    """Send a confirmation again: of an address of the logged-in user, or of the login that waits here.

    ``email`` may be left out for the latter. Returns False where nothing was
    sent: the address is verified, or one was sent within the cool-down. Raises
    `LoginRequired`, `InvalidEmail`, `EmailNotFound`, `DeliveryFailed`.
    """
    key = parse_email(email).key if email is not None else None
    pending = pending_login(request) if request.user is None else None
    if pending is None:
        user = lock_login(request)
        address = queries.address_of(request, user.id, key) if key is not None else None
    else:
        user, address = pending.user, _awaited(request, pending)
        if address is not None and key not in (None, email_key(address.email)):
            address = None
    if address is None:
        raise EmailNotFound(field="email")
    signup = pending is not None
    return False if address.verified else send_confirmation_mail(request, user, address, signup=signup)


@flow
def change_pending_email(request: Request, *, email: str) -> LoginResult:
    """Replace the unconfirmed address of the login that waits in this browser, such as a mistyped one.

    Only while the account has never verified an address. The links to the
    former address stop working. Raises `InvalidEmail`, `RateLimited`,
    `LoginRequired` (no such login waits here), `DeliveryFailed`; `EmailTaken`
    never: a taken address is treated like a free one.
    """
    given = parse_email(email)
    pending = pending_login(request)
    if pending is None:
        raise LoginRequired
    request.host.limits.hit(request, "manage_email")
    user, former = pending.user, _awaited(request, pending)
    addresses = queries.addresses(request, user.id)
    if former is None or any(each.verified for each in addresses):
        raise LoginRequired
    if email_key(former.email) != given.key:
        for other in addresses:
            if email_key(other.email) == given.key:
                request.write(statements.DELETE_ADDRESS, {"of_id": other.id})
                request.host.hooks.email_removed(request, user, other)
        claims = given.key if former.primary and may_claim(request, given.key, verified=False) else None
        request.write(statements.DELETE_CONFIRMATIONS_OF_USER, {"of_user": user.id})
        request.write(statements.DELETE_RESETS, {"of_user": user.id})
        values = {"new_email": given.address, "new_key": given.key, "new_claim_key": claims}
        try:
            request.write(statements.CHANGE_ADDRESS, {"of_id": former.id, **values})
        except IntegrityError as error:
            # Another signup claimed the address in this moment.
            raise Conflict from error
        address = replace(former, email=given.address)
        if former.primary:
            user = replace(user, email=given.address)
        request.host.hooks.email_changed(request, user, former, address)
        former = address
    send_confirmation_mail(request, user, former, signup=True)
    return wait_again(request)


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
    address = insert_address(request, user, given, verified=False, primary=False, claims=False)
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
    _cancel_links(request, user)
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
    _cancel_links(request, user)
    address = replace(address, primary=True)
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


def _cancel_links(request: Request, user: User) -> None:
    """Invalidate what was mailed before the addresses changed: whoever asked for it may not be the owner."""
    request.write(statements.DELETE_RESETS, {"of_user": user.id})
    request.write(statements.DELETE_CONFIRMATIONS_OF_USER, {"of_user": user.id})
    keys = [email_key(each.email) for each in queries.addresses(request, user.id)]
    request.host.limits.forget_mails(request, keys)


def _prove_password(request: Request, key: str, password: str) -> str | None:
    """The stored hash of the account that the key is for, if ``password`` is right.

    Before the account is locked: no transaction waits for a password to be hashed.
    """
    host = request.host
    secret = host.passwords.normalise(password)
    rows = request.read(statements.CONFIRMED_ADDRESS, {"of_digest": digest(key), "now": request.now})
    account = queries.account_by_id(request, rows[0].user_id) if rows else None
    if account is None:
        raise InvalidKey
    with host.limits.password_check(request, account.user, ""):
        right, _ = host.passwords.verify(secret, account.password)
        if not right:
            raise InvalidCredentials("The password is not right.", field="password")
    return account.password


def _awaited(request: Request, pending: PendingLogin) -> EmailAddress | None:
    """The address that a login waits for, with its account locked."""
    queries.lock_account(request, pending.user.id)
    found = queries.addresses(request, pending.user.id)
    return next((each for each in found if each.id == pending.address_id and not each.verified), None)


def _still_waits(request: Request, pending: PendingLogin, address: EmailAddress) -> bool:
    longest = timedelta(seconds=request.settings.pending_login_timeout)
    return pending.address_id == address.id and request.now - pending.sent <= longest


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
