"""The confirmation of an address, and the login that waits for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from authhost.account.flow import flow, lock_login
from authhost.account.login import start_session
from authhost.account.pending import PendingLogin, pending_login, wait_again
from authhost.account.recovery import recover_account
from authhost.account.sessions import log_out_current_user
from authhost.account.verification import (
    TRIES,
    mark_ready,
    may_claim,
    send_confirmation_mail,
    store_primary,
    store_verified,
)
from authhost.errors import Conflict, EmailNotFound, InvalidCredentials, InvalidKey, LoginRequired
from authhost.records import ConfirmResult, EmailAddress, LoginResult, User
from authhost.request import Request
from authhost.security.inputs import Email, email_key, text
from authhost.security.inputs import email as parse_email
from authhost.security.keys import digest
from authhost.store import queries, statements

NO_PENDING_LOGIN = (
    "No login waits in this browser. Log in first; whoever is logged in adds an address instead."
)
ADDED_ELSEWHERE = "Please log in to the account that the address was added to, and open the link again."


@flow
def confirm_email(request: Request, *, key: str, password: str | None = None) -> ConfirmResult:
    """Confirm an address by the key of the mail; a page does this by POST alone.

    An address that was added later is confirmed by whoever is logged in to the
    account, or knows its password: somebody else's click must not make the
    address part of an account that is not theirs.

    The first confirmation of an account gives it to the owner of the mailbox.
    Its credentials stay where they are proved to be the owner's: the browser is
    the one of the signup (``pending_token``, ``session_token``,
    ``device_token``), or ``password`` is the account's. Otherwise password,
    connections and sessions are removed, and ``recovered`` is true: anybody can
    sign up with an address of somebody else and wait for the click.

    Logs in where ``login_on_email_confirmation`` is on and the login of this
    browser waits for the address. Raises `InvalidInput`, `InvalidKey` (unknown,
    used, expired), `InvalidCredentials` (``password`` is wrong; the key still
    works), `LoginRequired` (an address that was added, in a browser that is not
    the account's; the key still works), `EmailTaken` (another account has verified
    it meanwhile), `RateLimited`, `Busy`, `Unavailable`, `Vetoed`, `Conflict`.
    """
    given = text(key, "key", 128)
    request.services.limits.hit(request, "confirm_email_from_key")
    proved = _prove_password(request, given, password) if password is not None else None
    found = _take_key(request, given)
    account = queries.account_by_id(request, found.user_id)
    if account is None or not account.user.is_active:
        raise InvalidKey
    pending = pending_login(request)
    if pending is not None and pending.user.id != account.user.id:
        pending = None
    proves = _is_browser_of(request, account.user, pending) or proved == (account.password or "")
    first = _is_first(request, found)
    if not (first or proves):
        raise LoginRequired(ADDED_ELSEWHERE)
    recovered = first and not proves
    if recovered:
        recover_account(request, account.user, found)
        previous, address = None, replace(found, verified=True, primary=True)
    else:
        previous, address = _verify(request, account.user, found)
    user, hashed = _confirmed(request, address, previous)
    if pending is None:
        return ConfirmResult(address, recovered=recovered)
    request.pending_token = None
    if not request.settings.login_on_email_confirmation or not _still_waits(request, pending, address):
        return ConfirmResult(address)
    return ConfirmResult(address, start_session(request, user, "email_confirmation", if_password=hashed))


def _is_browser_of(request: Request, user: User, pending: PendingLogin | None) -> bool:
    """Whether this browser is the account's: by a login that waits, a session or a device token."""
    if pending is not None or request.known_device(user) is not None:
        return True
    return request.user is not None and request.user.id == user.id


def _is_first(request: Request, address: EmailAddress) -> bool:
    """Whether nothing has proved before who owns the account. A second address says nothing of the first."""
    found = queries.addresses(request, address.user_id)
    return address.primary or not any(each.verified for each in found)


def _verify(request: Request, user: User, found: EmailAddress) -> tuple[EmailAddress | None, EmailAddress]:
    """Store the address as verified; return the primary one that it replaces, and the address."""
    settings, previous = request.settings, None
    address = store_verified(request, user, found)
    if settings.change_email:
        previous = _drop_others(request, address)
    if not address.primary and (settings.change_email or user.email is None):
        store_primary(request, address)
        address = replace(address, primary=True)
    return previous, address


def _confirmed(
    request: Request, address: EmailAddress, previous: EmailAddress | None
) -> tuple[User, str | None]:
    """Delete what the confirmation ends, and call the hooks; return the user and the stored hash."""
    request.send(statements.DELETE_RESETS, {"of_user": address.user_id})
    request.send(statements.DELETE_PENDING_LOGINS, {"of_user": address.user_id})
    fresh = queries.account_by_id(request, address.user_id)
    assert fresh is not None
    request.refresh(fresh.user)
    request.services.hooks.email_confirmed(request, address)
    if request.settings.change_email:
        request.services.hooks.email_changed(request, fresh.user, previous, address)
    mark_ready(request, fresh.user)
    if request.user is not None and request.user.id != address.user_id:
        log_out_current_user(request)
    return fresh.user, fresh.password


@flow
def send_confirmation(request: Request, *, email: str | None = None) -> bool:
    """Send a confirmation again: of an address of the logged-in user, or of the login that waits here.

    ``email`` may be left out for the latter, which comes first. Returns False
    where nothing was sent: the address is verified, or one was sent within the
    cool-down. Raises `LoginRequired`, `InvalidEmail`, `EmailNotFound`,
    `DeliveryFailed`.
    """
    key = parse_email(email).key if email is not None else None
    pending = pending_login(request)
    awaited = _awaited(request, pending) if pending is not None else None
    if pending is not None and awaited is not None and key in (None, email_key(awaited.email)):
        return send_confirmation_mail(request, pending.user, awaited, signup=True)
    if pending is not None and request.user is None:
        raise EmailNotFound(field="email")
    user = lock_login(request)
    address = queries.address_of(request, user.id, key) if key is not None else None
    if address is None:
        raise EmailNotFound(field="email")
    return False if address.verified else send_confirmation_mail(request, user, address, signup=False)


@flow
def change_pending_email(request: Request, *, email: str) -> LoginResult:
    """Replace the unconfirmed address of the login that waits in this browser, such as a mistyped one.

    Only while the account has never verified an address. The links to the
    former address stop working. A plugin's `before_signup` is asked about the new
    one. Raises `InvalidEmail`, `RateLimited`, `LoginRequired` (no such login waits
    here), `Vetoed`, `Conflict`, `DeliveryFailed`. A taken address is treated like
    a free one.
    """
    given = parse_email(email)
    pending = pending_login(request)
    if pending is None:
        raise LoginRequired(NO_PENDING_LOGIN)
    request.services.limits.hit(request, "manage_email")
    user, former = pending.user, _awaited(request, pending)
    addresses = queries.addresses(request, user.id)
    if former is None or any(each.verified for each in addresses):
        raise LoginRequired(NO_PENDING_LOGIN)
    if email_key(former.email) != given.key:
        request.services.hooks.before_signup(request, given.address)
        for other in addresses:
            if email_key(other.email) == given.key:
                request.send(statements.DELETE_ADDRESS, {"of_id": other.id})
                request.services.hooks.email_removed(request, user, other)
        address = _replace_address(request, former, given)
        if former.primary:
            user = replace(user, email=given.address)
        request.services.hooks.email_changed(request, user, former, address)
        former = address
    send_confirmation_mail(request, user, former, signup=True)
    return wait_again(request)


def _replace_address(request: Request, former: EmailAddress, given: Email) -> EmailAddress:
    """Put an address in the place of one that was never verified. No link to the former one works then."""
    request.send(statements.DELETE_CONFIRMATIONS_OF_USER, {"of_user": former.user_id})
    request.send(statements.DELETE_RESETS, {"of_user": former.user_id})
    values = {"of_id": former.id, "new_email": given.address, "new_key": given.key}
    for _ in range(TRIES):
        claims = given.key if former.primary and may_claim(request, given.key, verified=False) else None
        try:
            with request.savepoint():
                request.send(statements.CHANGE_ADDRESS, {**values, "new_claim_key": claims})
        except IntegrityError:
            continue  # Another signup has claimed the address meanwhile: look again.
        return replace(former, email=given.address)
    raise Conflict


def _prove_password(request: Request, key: str, password: str) -> str | None:
    """The stored hash of the account that the key is for, if ``password`` is right.

    Before the account is locked: no transaction waits for a password to be hashed.
    """
    services = request.services
    secret = services.passwords.normalise(password)
    rows = request.read(statements.CONFIRMED_ADDRESS, {"of_digest": digest(key), "now": request.now})
    account = queries.account_by_id(request, rows[0].user_id) if rows else None
    if account is None:
        raise InvalidKey
    with services.limits.password_check(request, [account.user]):
        right, _ = services.passwords.verify(secret, account.password)
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
    request.send(statements.DELETE_OTHER_ADDRESSES, {"of_user": address.user_id, "of_id": address.id})
    return next((each for each in others if each.primary), None)
