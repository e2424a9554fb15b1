"""Confirmation of an address, and of the pending login that needs it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from authhost.account.complete_login import continue_login
from authhost.account.deactivation import active_user
from authhost.account.flow import check_change, flow, lock_login
from authhost.account.new_password import check_usable
from authhost.account.open_login import OpenLogin, authentication_by
from authhost.account.pending import pending_login, pending_login_result
from authhost.account.recovery import recover_account
from authhost.account.sessions import log_out_former_user
from authhost.account.verification import (
    MAX_ATTEMPTS,
    becomes_primary,
    call_confirmed,
    is_first_proof,
    may_claim,
    resume_signup,
    send_confirmation_mail,
    verify_address,
)
from authhost.errors import Conflict, EmailNotFound, InvalidCredentials, InvalidKey, LoginRequired
from authhost.records import ConfirmResult, EmailAddress, LoginResult, User
from authhost.request import Request
from authhost.security.inputs import Email, email as parse_email, email_key, text
from authhost.security.keys import digest
from authhost.store import queries, statements

NO_PENDING_LOGIN = "This browser has no pending login. Log in first, or add an address if you are logged in."
ADDED_ELSEWHERE = "Please log in to the account that the address was added to, and open the link again."


@flow
def confirm_email(request: Request, *, key: str, password: str | None = None) -> ConfirmResult:
    """Confirm an address with the key of an e-mail. A page must call this for POST only.

    An address that was added later can only be confirmed by somebody who is logged
    in to the account or knows its password. Otherwise a click by another person
    would make the address part of an account that is not theirs.

    The first confirmation of an account proves who owns its mailbox. The
    credentials stay if they are the owner's: the browser is that of the signup
    (``pending_token``, ``session_token``, ``device_token``), or ``password`` is the
    account's. Otherwise password, connections, sessions and credentials of plugins
    are removed, and ``recovered`` is true: anybody can sign up with the address of
    somebody else and wait for the click.

    Logs in if ``login_on_email_confirmation`` is on and the pending login of this
    browser needs the address. Raises `InvalidInput`, `InvalidKey` (unknown,
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
    user = active_user(request, account.user) if account is not None else None
    if account is None or user is None:
        raise InvalidKey
    account = account._replace(user=user)
    pending = pending_login(request)
    if pending is not None and pending.user.id != account.user.id:
        pending = None
    proves = _is_browser_of(request, account.user, pending) or proved == (account.password or "")
    first = is_first_proof(request, found)
    if not (first or proves):
        raise LoginRequired(ADDED_ELSEWHERE)
    recovered = first and not proves
    _check_changes(request, account.user, found)
    if recovered:
        recover_account(request, account.user, found)
        previous, address = None, replace(found, verified=True, primary=True)
    else:
        previous, address = verify_address(request, account.user, found)
    user, hashed = _confirmed(request, address, previous)
    if pending is None or pending.address_id is None:
        return ConfirmResult(address, recovered=recovered)
    request.pending_token = None
    if not request.settings.login_on_email_confirmation or not _is_recent(request, pending, address):
        return ConfirmResult(address)
    proof = authentication_by(request, "email_confirmation")
    proofs = (proof, *pending.authentications)
    login = replace(pending, user=user, password=hashed, authentications=proofs)
    return ConfirmResult(address, continue_login(request, login, verified=True))


def needs_password(request: Request, key: str) -> bool:
    """Return whether `confirm_email` in this browser removes the account's password unless it is given.

    For a page that asks for the password only then. False for an unknown key.
    """
    found = _address_elsewhere(request, key)
    return found is not None and found[0].has_usable_password


def removes_all_logins(request: Request, key: str) -> bool:
    """Return whether `confirm_email` in this browser removes every way to log in, and no password avoids it.

    For a page that says so first, such as after a signup with a passkey. False for an unknown key.
    """
    found = _address_elsewhere(request, key)
    return found is not None and not found[0].has_usable_password and is_first_proof(request, found[1])


def _address_elsewhere(request: Request, key: str) -> tuple[User, EmailAddress] | None:
    """Return the account and the unverified address of a key, if this browser is not the account's."""
    given = text(key, "key", 128)
    rows = request.read(statements.CONFIRMED_ADDRESS, {"of_digest": digest(given), "now": request.now})
    account = queries.account_by_id(request, rows[0].user_id) if rows and not rows[0].verified else None
    if account is None:
        return None
    pending = pending_login(request)
    if pending is not None and pending.user.id != account.user.id:
        pending = None
    if _is_browser_of(request, account.user, pending):
        return None
    return account.user, queries.make_address(rows[0])


def awaited_address(request: Request) -> EmailAddress | None:
    """Return the unverified address that the pending login of this browser waits for, or None."""
    pending = pending_login(request)
    if pending is None:
        return None
    found = queries.addresses(request, pending.user.id)
    return next((each for each in found if each.id == pending.address_id and not each.verified), None)


def _is_browser_of(request: Request, user: User, pending: OpenLogin | None) -> bool:
    """Return whether this browser has a pending login, a session or a device token of the account."""
    if pending is not None or request.known_device(user) is not None:
        return True
    return request.user is not None and request.user.id == user.id


def _check_changes(request: Request, user: User, address: EmailAddress) -> None:
    """Call `before_change` for what the confirmation changes."""
    check_change(request, user, "verify_email", email=address.email)
    if becomes_primary(request, user, primary=address.primary):
        check_change(request, user, "make_primary", email=address.email)


def _confirmed(
    request: Request, address: EmailAddress, previous: EmailAddress | None
) -> tuple[User, str | None]:
    """Call the hooks of a confirmation, and log out another user; return the user and the stored hash."""
    account = call_confirmed(request, address, previous)
    if request.user is not None and request.user.id != address.user_id:
        log_out_former_user(request, account.user)
    return account.user, account.password


@flow
def send_confirmation(request: Request, *, email: str | None = None) -> bool:
    """Send a confirmation again: for the pending login of this browser, or an address of the logged-in user.

    The pending login comes first; ``email`` may be omitted for it. Returns False if
    nothing was sent: the address is verified, or a confirmation was sent within the
    cool-down. Raises `LoginRequired`, `InvalidEmail`, `EmailNotFound`,
    `DeliveryFailed`.
    """
    key = parse_email(email).key if email is not None else None
    pending = pending_login(request)
    awaited = _address_to_verify(request, pending) if pending is not None else None
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
    """Replace the unconfirmed address of the pending login of this browser, such as a mistyped one.

    This works only while the account has no verified address. The links to the
    former address stop working. `before_signup` is called for the new address.
    Raises `InvalidEmail`, `RateLimited`, `LoginRequired` (no such pending login),
    `Vetoed`, `Conflict`, `DeliveryFailed`. A taken address is treated like a free one.
    """
    given = parse_email(email)
    pending = pending_login(request)
    if pending is None:
        raise LoginRequired(NO_PENDING_LOGIN)
    request.services.limits.hit(request, "manage_email")
    user, former = pending.user, _address_to_verify(request, pending)
    addresses = queries.addresses(request, user.id)
    if former is None or any(each.verified for each in addresses):
        raise LoginRequired(NO_PENDING_LOGIN)
    if email_key(former.email) != given.key:
        resume_signup(request, queries.signup(request, user.id))
        request.services.hooks.before_signup(request, given.address)
        for other in addresses:
            if email_key(other.email) == given.key:
                request.send_statement(statements.DELETE_ADDRESS, {"of_id": other.id})
                request.services.hooks.email_removed(request, user, other)
        address = _replace_address(request, former, given)
        if former.primary:
            user = replace(user, email=given.address)
        request.services.hooks.email_changed(request, user, former, address)
        former = address
    send_confirmation_mail(request, user, former, signup=True)
    return pending_login_result(request)


def _replace_address(request: Request, former: EmailAddress, given: Email) -> EmailAddress:
    """Replace an unverified address. The links to the former one stop working."""
    request.send_statement(statements.DELETE_CONFIRMATIONS_OF_USER, {"of_user": former.user_id})
    request.send_statement(statements.DELETE_RESETS, {"of_user": former.user_id})
    values = {"of_id": former.id, "new_email": given.address, "new_key": given.key}
    for _ in range(MAX_ATTEMPTS):
        claims = given.key if former.primary and may_claim(request, given.key, verified=False) else None
        try:
            with request.savepoint():
                request.send_statement(statements.CHANGE_ADDRESS, {**values, "new_claim_key": claims})
        except IntegrityError:
            continue  # Another signup has claimed the address in the meantime: try again.
        return replace(former, email=given.address)
    raise Conflict


def _prove_password(request: Request, key: str, password: str) -> str | None:
    """Verify ``password``; return the stored hash of the account of ``key``.

    This is called before the account is locked, so that no transaction waits for a hash.
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
        check_usable(request, account.password, account.user)
    return account.password


def _address_to_verify(request: Request, pending: OpenLogin) -> EmailAddress | None:
    """Lock the account; return the unverified address of a pending login, or None."""
    queries.lock_account(request, pending.user.id)
    found = queries.addresses(request, pending.user.id)
    return next((each for each in found if each.id == pending.address_id and not each.verified), None)


def _is_recent(request: Request, pending: OpenLogin, address: EmailAddress) -> bool:
    longest = timedelta(seconds=request.settings.pending_login_timeout)
    sent = pending.sent or pending.started
    return pending.address_id == address.id and request.now - sent <= longest


def _take_key(request: Request, key: str) -> EmailAddress:
    """Delete the key; return its address. Raises `InvalidKey`."""
    rows = request.read(statements.CONFIRMED_ADDRESS, {"of_digest": digest(key), "now": request.now})
    if not rows or rows[0].verified:
        raise InvalidKey
    queries.lock_account(request, rows[0].user_id)
    if not request.write(statements.DELETE_CONFIRMATION, {"of_digest": digest(key)}):
        raise InvalidKey
    return queries.make_address(rows[0])
