"""Login and reauthentication."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from authhost.account.flow import attach_user, flow, lock_login, require_login
from authhost.account.pending import store_pending_login
from authhost.account.sessions import (
    call_session_ended,
    delete_own_session,
    log_out_former_user,
    rotate_token,
)
from authhost.account.verification import send_confirmation_mail
from authhost.errors import Conflict, InvalidCredentials, Vetoed
from authhost.records import LoginResult, Session, TokenResult, User
from authhost.request import Request
from authhost.security.inputs import Identifier, email_key, identifier as parse_identifier
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements

ENDED_BY_HOOK = "A plugin has ended the session of this login."


@flow
def login(request: Request, *, identifier: str, password: str) -> LoginResult:
    """Log in by e-mail address or username.

    Raises `InvalidInput`, `RateLimited`, `InvalidCredentials` (one answer, at
    one cost, for an unknown account, a wrong password and a deactivated
    account; ASVS 5.0, 6.3.8), `Busy`, `Unavailable`, `Vetoed`, `Conflict`.
    """
    services = request.services
    name = parse_identifier(identifier)
    secret = services.passwords.normalise(password)
    request.set_identifier(name.key)

    candidates = _candidates(request, name)
    users = [each.user for each in candidates if each is not None]
    services.limits.hit_for(request, next(iter(users), None), "login")
    with services.limits.password_check(request, users, name.key) as check:
        account, right, newer = _verify(request, candidates, secret)
        if account is None or not right or not account.user.is_active:
            check.failed()
            raise attach_user(services.passwords.refusal(), account.user if account else None)
        check.passed(account.user)
    by_address = name.key if name.is_email else None
    return start_session_or_verify(
        request, account.user, "password", by_address, if_password=account.password, rehashed=newer
    )


@flow
def reauthenticate(request: Request, *, password: str) -> TokenResult:
    """Confirm the password of the logged-in user. The session gets a new token.

    Raises `LoginRequired`, `InvalidInput`, `RateLimited`, `InvalidCredentials`,
    `Busy`, `Unavailable`.
    """
    user, _ = require_login(request)
    secret = request.services.passwords.normalise(password)
    request.services.limits.hit(request, "reauthenticate")
    with request.services.limits.password_check(request, [user]):
        right, _ = request.services.passwords.verify(secret, request.stored_password)
        if not right:
            raise InvalidCredentials("The password is not right.", field="password")
    user = lock_login(request)
    result = rotate_token(request, authenticated=True).result()
    request.services.hooks.user_reauthenticated(request, user)
    return result


def _candidates(request: Request, name: Identifier) -> tuple[queries.Account | None, ...]:
    """Return the accounts that ``name`` can refer to; as many for a known name as for an unknown one.

    With mandatory verification an address can have two: the account that has
    verified it, and the latest unverified signup with it. So a signup with the
    address of somebody else behaves like any other (ASVS 5.0, 6.3.8).
    """
    if not name.is_email:
        return (queries.account_by_username(request, name.key),)
    if request.settings.email_verification == "mandatory":
        return queries.accounts_by_email(request, name.key)
    return (queries.account_by_email(request, name.key),)


def _verify(
    request: Request, candidates: tuple[queries.Account | None, ...], secret: str
) -> tuple[queries.Account | None, bool, str | None]:
    """Return the candidate whose password it is or the first one, whether it is right, and a new hash."""
    passwords = request.services.passwords
    with passwords.slot():
        for account in candidates:
            right, newer = passwords.verify(secret, account.password if account else None)
            if right:
                return account, True, newer
    return next((each for each in candidates if each is not None), None), False, None


def start_session_or_verify(
    request: Request,
    user: User,
    method: str,
    by_address: str | None,
    *,
    if_password: str | None,
    rehashed: str | None = None,
    provider: str | None = None,
) -> LoginResult:
    """Log ``user`` in, or store a pending login and send a confirmation if verification is mandatory.

    A login by an address requires that this address is verified, any other login
    that any address is. While the login is pending, a previously logged-in user
    of this browser stays logged in.
    """
    if request.settings.email_verification == "mandatory":
        addresses = queries.addresses(request, user.id)
        if not any(each.verified and by_address in (None, email_key(each.email)) for each in addresses):
            return _send_and_store_pending(request, user, by_address, if_password)
    if provider is not None:
        log_out_former_user(request, user)
    return start_session(request, user, method, if_password=if_password, rehashed=rehashed, provider=provider)


def _send_and_store_pending(
    request: Request, user: User, by_address: str | None, password: str | None
) -> LoginResult:
    """Send a confirmation to the address of the login, or else to the primary one; store a pending login."""
    queries.lock_account(request, user.id)
    addresses = queries.addresses(request, user.id)
    address = next((each for each in addresses if by_address in (None, email_key(each.email))), None)
    if by_address is None:
        address = next((each for each in addresses if each.primary), address)
    if address is not None and not address.verified:
        send_confirmation_mail(request, user, address, signup=False)
    return store_pending_login(request, user, address, password=password)


def start_session(
    request: Request,
    user: User,
    method: str,
    *,
    if_password: str | None,
    rehashed: str | None = None,
    provider: str | None = None,
) -> LoginResult:
    """Log ``user`` in with a new session token, if the stored password is still the verified one.

    A previously logged-in user of this browser is logged out. Raises `Vetoed`, and
    `Conflict` if the account has changed, or if a hook has ended the new session.
    """
    now, settings = request.now, request.settings
    try:
        request.services.hooks.before_login(request, user)
    except Vetoed as refusal:
        attach_user(refusal, user)
        raise
    current = request.user
    values = {"of_user": user.id, "old_password": if_password, "now": now}
    if rehashed is None:
        logged_in = request.send_statement(statements.LOG_IN, values)
    else:
        logged_in = request.send_statement(statements.LOG_IN_AND_REHASH, {**values, "new_password": rehashed})
    ended = delete_own_session(request, user) if current is not None and current.id == user.id else []
    if current is not None and current.id != user.id:
        if not logged_in.rowcount:
            raise Conflict
        log_out_former_user(request, user)
    token = new_key()
    session = Session(
        id=request.new_id(),
        user_id=user.id,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=settings.session_lifetime),
        method=method,
        provider=provider,
        ip_address=request.ip_address,
        user_agent=request.user_agent,
    )
    row = {name: getattr(session, name) for name in Session.__slots__} | {"token_digest": digest(token)}
    try:
        request.send_statement(statements.INSERT_SESSION, row)
        if not logged_in.rowcount:
            raise Conflict
    except IntegrityError as error:
        if not logged_in.rowcount:  # the account was deleted, so no session can refer to it
            raise Conflict from error
        raise
    call_session_ended(request, ended, "replaced")
    user = replace(user, last_login=now)
    request.log_in(session, user, token, rehashed or if_password)
    request.services.hooks.user_logged_in(request, user)
    kept = request.session
    if kept is None or kept.id != session.id:
        raise attach_user(Conflict(ENDED_BY_HOOK), user)
    device_token = request.remember_device(user)
    return LoginResult(request.session_token or token, request.user, device_token=device_token)
