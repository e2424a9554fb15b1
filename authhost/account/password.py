"""The password: set, change, reset."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from authhost_hookspecs import Message

from authhost.account.flow import flow, lock_login, require_login, require_recent_login
from authhost.account.login import end_sessions, leave, rotate_token, start_session_or_wait
from authhost.errors import (
    Conflict,
    InvalidCredentials,
    InvalidKey,
    PasswordAlreadySet,
)
from authhost.inputs import email as parse_email
from authhost.inputs import email_key, text
from authhost.keys import digest, new_key
from authhost.records import LoginResult, TokenResult, User
from authhost.request import Request
from authhost.store import queries, statements


@flow
def set_password(request: Request, *, password: str) -> TokenResult:
    """Give an account that has no password its first one.

    Raises `LoginRequired`, `ReauthenticationRequired`, `PasswordAlreadySet`,
    `InvalidInput`, `WeakPassword`, `RateLimited`, `Conflict`.
    """
    user, session = require_recent_login(request)
    if user.has_usable_password:
        raise PasswordAlreadySet
    secret = request.host.passwords.accept(password, user.email, user.username)
    request.host.limits.hit(request, "change_password")
    hashed = request.host.passwords.hash(secret)
    lock_login(request)
    _store(request, user, old=None, new=hashed)
    end_sessions(request, user.id, but=session.id)
    result = rotate_token(request)
    user = replace(user, has_usable_password=True)
    request.refresh(user)
    request.host.hooks.password_set(request, user)
    return result


@flow
def change_password(request: Request, *, current_password: str, new_password: str) -> TokenResult:
    """Change the password. Other sessions end, this one goes on under a new token.

    Raises `LoginRequired`, `InvalidInput`, `WeakPassword`, `RateLimited`,
    `InvalidCredentials` (the current password is wrong), `Conflict`.
    """
    passwords = request.host.passwords
    user, session = require_login(request)
    secret = passwords.accept(new_password, user.email, user.username)
    current = passwords.normalise(current_password)
    request.host.limits.hit(request, "change_password")
    account = queries.account_by_id(request, user.id)
    old = account.password if account else None
    with request.host.limits.password_check(request, user, ""):
        right, _ = passwords.verify(current, old)
        if not right:
            raise InvalidCredentials("The current password is not right.", field="current_password")
    hashed = passwords.hash(secret)
    lock_login(request)
    _store(request, user, old=old, new=hashed)
    end_sessions(request, user.id, but=session.id)
    result = rotate_token(request, authenticated=True)
    request.host.hooks.password_changed(request, user)
    return result


@flow
def request_password_reset(request: Request, *, email: str) -> None:
    """Send the link of a reset. An unknown address gets the same answer, and a mail that says so.

    Nothing is sent, and the answer is the same, where this network asked for the
    address a few minutes ago, or too many networks did: the mailbox has links that
    work then. Raises `InvalidEmail`, `RateLimited`, `DeliveryFailed`.
    """
    host, now = request.host, request.now
    given = parse_email(email)
    request.meant(given.key)
    address = queries.claimed_address(request, given.key)
    account = queries.account_by_id(request, address.user_id if address else request.new_id())
    user = account.user if account and account.user.is_active else None
    host.limits.hit_for(request, user, "reset_password", given.key)
    if not host.limits.allows(request, ("reset_password_mail", given.key)):
        return
    key = new_key()
    expires = now + timedelta(seconds=request.settings.password_reset_timeout)
    request.write(
        statements.INSERT_RESET,
        {
            "id": request.new_id(),
            "user_id": user.id if user else None,
            "key_digest": digest(key),
            "sent": now,
            "expires": expires,
        },
    )
    if user is None or address is None:
        host.hooks.deliver_message(request, Message("password_reset_unknown_account", given.address))
        return
    link = request.build_url("reset_password", key=key)
    host.hooks.deliver_message(
        request, Message("password_reset", address.email, user.username, key, link, expires)
    )


@flow
def reset_password(request: Request, *, key: str, password: str) -> LoginResult | None:
    """Set a new password by the key of the mail. All sessions end, all other keys die.

    Logs in where ``login_on_password_reset`` is on, as a login would. Raises
    `InvalidInput`, `RateLimited`, `InvalidKey`, `WeakPassword`, `Conflict`.
    """
    host, settings = request.host, request.settings
    given = text(key, "key", 128)
    secret = host.passwords.normalise(password)
    host.limits.hit(request, "reset_password_from_key")
    rows = request.read(statements.RESET_USER, {"of_digest": digest(given), "now": request.now})
    user_id: UUID | None = rows[0][0] if rows else None
    account = queries.account_by_id(request, user_id) if user_id else None
    if account is None or not account.user.is_active:
        raise InvalidKey
    user = account.user
    host.passwords.accept(secret, user.email, user.username)
    hashed = host.passwords.hash(secret)

    queries.lock_account(request, user.id)
    if not request.write(statements.DELETE_RESET, {"of_digest": digest(given)}):
        raise InvalidKey
    _store(request, user, old=account.password, new=hashed)
    if request.user is not None and request.user.id != user.id:
        leave(request)
    request.log_out()
    end_sessions(request, user.id)
    addresses = queries.addresses(request, user.id)
    host.limits.forget_failures(request, user)
    host.limits.forget_mails(request, [email_key(each.email) for each in addresses])
    user = replace(user, has_usable_password=True)
    host.hooks.password_reset(request, user)
    if not settings.login_on_password_reset:
        return None
    return start_session_or_wait(request, user, "password_reset", None, if_password=hashed)


def _store(request: Request, user: User, *, old: str | None, new: str) -> None:
    """Store the hash if the old one still stands; keys for a reset die with it."""
    values = {"of_user": user.id, "old_password": old, "new_password": new}
    if not request.write(statements.CHANGE_PASSWORD, values):
        raise Conflict
    request.write(statements.DELETE_RESETS, {"of_user": user.id})
    request.host.limits.forget_mails(request, [email_key(user.email)] if user.email else [])
