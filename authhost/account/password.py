"""Set, change and reset the password."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from authhost_hookspecs import Message, MessageKind

from authhost.account.complete_login import continue_login
from authhost.account.deactivation import active_user
from authhost.account.flow import check_change, flow, lock_login, require_login, require_recent_login
from authhost.account.new_password import check_new_password, check_usable
from authhost.account.open_login import OpenLogin, authentication_by
from authhost.account.recovery import delete_links, recover_account, remove_unconfirmed
from authhost.account.sessions import end_sessions, log_out_former_user, rotate_token
from authhost.account.verification import is_first_proof, mark_ready, resume_signup
from authhost.errors import Conflict, EmailTaken, InvalidCredentials, InvalidKey, PasswordAlreadySet
from authhost.records import EmailAddress, LoginResult, TokenResult, User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, email_key, key_of, text
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements


@flow
def set_password(request: Request, *, password: str) -> TokenResult:
    """Set the first password of an account that has none.

    Raises `LoginRequired`, `ReauthenticationRequired`, `PasswordAlreadySet`,
    `InvalidInput`, `WeakPassword`, `RateLimited`, `Vetoed`, `Busy`, `Unavailable`, `Conflict`.
    """
    user, session = require_recent_login(request)
    if user.has_usable_password:
        raise PasswordAlreadySet
    secret = request.services.passwords.accept(password, user.email, user.username)
    request.services.limits.hit(request, "change_password")
    hashed = request.services.passwords.hash(check_new_password(request, secret, user, field="password"))
    lock_login(request)
    check_change(request, user, "set_password")
    rotation = rotate_token(request)
    _store(request, user, old=None, new=hashed)
    result = rotation.result()
    end_sessions(request, user, "password_set", keep=session)
    user = replace(user, has_usable_password=True)
    request.refresh(user)
    request.services.hooks.password_set(request, user)
    return result


@flow
def change_password(request: Request, *, current_password: str, new_password: str) -> TokenResult:
    """Change the password. Other sessions end, and this session gets a new token.

    Raises `LoginRequired`, `InvalidInput`, `WeakPassword`, `RateLimited`, `Vetoed`,
    `InvalidCredentials` (the current password is wrong), `PasswordResetRequired`,
    `Busy`, `Unavailable`, `Conflict`.
    """
    passwords = request.services.passwords
    user, session = require_login(request)
    secret = passwords.accept(new_password, user.email, user.username)
    current = passwords.normalise(current_password)
    request.services.limits.hit(request, "change_password")
    checked = check_new_password(request, secret, user, field="new_password")
    old = request.stored_password
    with passwords.slot():
        with request.services.limits.password_check(request, [user]):
            right, _ = passwords.verify(current, old)
            if not right:
                raise InvalidCredentials("The current password is not right.", field="current_password")
            check_usable(request, old, user)
        hashed = passwords.hash(checked)
    lock_login(request)
    check_change(request, user, "change_password")
    rotation = rotate_token(request, again=authentication_by(request, "password"))
    _store(request, user, old=old, new=hashed)
    result = rotation.result()
    end_sessions(request, user, "password_changed", keep=session)
    request.services.hooks.password_changed(request, user)
    return result


@flow
def request_password_reset(request: Request, *, email: str) -> None:
    """Send the link of a reset. For an unknown address the result is the same, and a message says so.

    Nothing is sent, with the same result, if this network requested a reset for
    the address a few minutes ago, or if too many networks did: the mailbox then
    has valid links. Raises `InvalidEmail`, `RateLimited`, `DeliveryFailed`.
    """
    services = request.services
    given = parse_email(email)
    request.set_identifier(given.key)
    address = queries.claimed_address(request, given.key)
    account = queries.account_by_id(request, address.user_id if address else request.new_id())
    user = account.user if account and account.user.is_active else None
    services.limits.hit_for(request, user, "reset_password", given.key)
    if services.limits.allows(request, ("reset_password_mail", given.key)):
        # The address may belong to another account now, or to none: read it again, with the account locked.
        queries.lock_account(request, user.id if user else request.new_id())
        address = queries.claimed_address(request, given.key)
        if user is not None and (address is None or address.user_id != user.id):
            user = None
        _send_reset(request, given.address, user, address)
    services.hooks.password_reset_requested(request, user)


def _send_reset(request: Request, given: str, user: User | None, address: EmailAddress | None) -> None:
    """Send the link of a reset, or a message that no account has the address, at the same cost."""
    if user is not None and address is not None:
        send_reset_link(request, user, address, timeout=request.settings.password_reset_timeout)
        return
    _store_key(request, None, None, request.settings.password_reset_timeout)
    request.services.hooks.deliver_message(request, Message("password_reset_unknown_account", given))


def send_reset_link(
    request: Request,
    user: User,
    address: EmailAddress,
    *,
    timeout: float,
    kind: MessageKind = "password_reset",
) -> None:
    """Store a key that sets a new password, and deliver its link, which is valid for ``timeout`` seconds."""
    key, expires = _store_key(request, user, address, timeout)
    link = request.build_url("reset_password", key=key)
    message = Message(kind, address.email, user.username, key, link, expires, user.id)
    request.services.hooks.deliver_message(request, message)


def _store_key(
    request: Request, user: User | None, address: EmailAddress | None, timeout: float
) -> tuple[str, datetime]:
    """Store a new key, for nobody if there is no such account; return it and when it expires."""
    now, key = request.now, new_key()
    expires = now + timedelta(seconds=timeout)
    request.send_statement(
        statements.INSERT_RESET,
        {
            "id": request.new_id(),
            "user_id": user.id if user else None,
            "email_address_id": address.id if user and address else None,
            "key_digest": digest(key),
            "sent": now,
            "expires": expires,
        },
    )
    return key, expires


@flow
def reset_password(request: Request, *, key: str, password: str) -> LoginResult | None:
    """Set a new password with the key of an e-mail. All sessions end, and all other links stop working.

    If the address of the e-mail was never verified, the reset is the first proof
    of who owns the mailbox: other addresses, connections to providers and credentials
    of plugins are removed from the account, and the address counts as verified.

    Begins a login if ``login_on_password_reset`` is on; it may need further steps. Raises
    `InvalidInput`, `RateLimited`, `InvalidKey`, `WeakPassword`, `Vetoed`, `Busy`,
    `Unavailable`, `Conflict`.
    """
    services, settings = request.services, request.settings
    given = text(key, "key", 128)
    secret = services.passwords.normalise(password)
    services.limits.hit(request, "reset_password_from_key")
    rows = request.read(statements.RESET, {"of_digest": digest(given), "now": request.now})
    user_id: UUID | None = rows[0].user_id if rows else None
    account = queries.account_by_id(request, user_id) if user_id else None
    user = active_user(request, account.user) if account is not None else None
    if account is None or user is None:
        raise InvalidKey
    secret = services.passwords.accept(secret, user.email, user.username)
    hashed = services.passwords.hash(check_new_password(request, secret, user, field="password"))

    queries.lock_account(request, user.id)
    check_change(request, user, "reset_password")
    if not request.write(statements.DELETE_RESET, {"of_digest": digest(given)}):
        raise InvalidKey
    if request.user is not None and request.user.id != user.id:
        log_out_former_user(request, user)
    request.log_out()
    addresses = queries.addresses(request, user.id)
    proved = next((each for each in addresses if each.id == rows[0].email_address_id), None)
    if proved is None:
        # The address was removed, or the link is older than version 0.2 and has no address.
        raise InvalidKey
    old = account.password
    if not proved.verified:
        if not is_first_proof(request, proved):
            raise InvalidKey
        user, old = _recover(request, user, proved), None
    _store(request, user, old=old, new=hashed)
    end_sessions(request, user, "password_reset")
    names = [email_key(each.email) for each in addresses]
    services.limits.reset_failures(request, user, [*names, key_of(user.username or "")])
    user, device_token = replace(user, has_usable_password=True), request.device_token
    request.remember_device(user)
    services.hooks.password_reset(request, user)
    if not settings.login_on_password_reset:
        return None
    login = OpenLogin.begin(request, user, "password_reset", password=hashed)
    result = continue_login(request, login)
    if not result.authenticated:  # this browser is known after the last step
        request.device_token = device_token
    return result


def _recover(request: Request, user: User, address: EmailAddress) -> User:
    """Give the account to the owner of ``address``, and call the hooks of its first confirmation."""
    check_change(request, user, "verify_email", email=address.email)
    try:
        user = recover_account(request, user, address)
    except EmailTaken as error:
        # Another account has verified the address since the link was sent.
        raise InvalidKey from error
    resume_signup(request, queries.signup(request, user.id))
    request.services.hooks.email_confirmed(request, replace(address, verified=True, primary=True))
    mark_ready(request, user)
    return user


def _store(request: Request, user: User, *, old: str | None, new: str) -> None:
    """Store the hash, and invalidate links and pending logins; raises `Conflict` if the old hash changed."""
    values = {"of_user": user.id, "old_password": old, "new_password": new}
    changed = request.send_statement(statements.CHANGE_PASSWORD, values)
    delete_links(request, user)
    addresses = queries.addresses(request, user.id)
    if not changed.rowcount:
        raise Conflict
    request.set_stored_password(user, new)
    remaining = remove_unconfirmed(request, user, addresses)
    request.services.limits.reset_mail_limit(request, [email_key(each.email) for each in remaining])
