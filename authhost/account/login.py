"""Login and logout, reauthentication, and the sessions of a user."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from itsdangerous import BadSignature

from authhost.account.flow import about, flow, lock_login, require_login, require_recent_login
from authhost.account.verification import send_confirmation_to
from authhost.errors import Conflict, InvalidCredentials, InvalidInput, LoginRequired, SessionNotFound
from authhost.inputs import email as parse_email
from authhost.inputs import email_key, key_of, text
from authhost.keys import digest, new_key
from authhost.records import LoginResult, Session, TokenResult, User
from authhost.request import Request
from authhost.store import queries, statements

WAITS_FOR_EMAIL = "email_verification"


@flow
def login(request: Request, *, identifier: str, password: str) -> LoginResult:
    """Log in by e-mail address or username.

    Raises `InvalidInput`, `RateLimited`, `InvalidCredentials` (one answer, at
    one cost, for an unknown account, a wrong password and a deactivated
    account; ASVS 5.0, 6.3.8), `Vetoed`, `Conflict`.
    """
    host = request.host
    name = text(identifier, "identifier", 254)
    secret = host.passwords.normalise(password)
    key = _email_key(name) if "@" in name else key_of(name)
    request.meant(key)
    host.limits.hit(request, "login")
    host.limits.attempt(request, "login_failed", key)

    find = queries.account_by_email if "@" in name else queries.account_by_username
    account = find(request, key)
    right, newer = host.passwords.verify(secret, account.password if account else None)
    if account is None or not right or not account.user.is_active:
        host.limits.failed(request, "login_failed")
        raise about(InvalidCredentials(), account.user if account else None)
    host.limits.clear("login_failed", key)
    by_address = key if "@" in name else None
    return start_session_or_wait(
        request, account.user, "password", by_address, if_password=account.password, rehashed=newer
    )


@flow
def logout(request: Request) -> None:
    """End the session, after `user_logged_out`. Nothing happens when nobody is logged in."""
    leave(request)


@flow
def reauthenticate(request: Request, *, password: str) -> TokenResult:
    """Confirm the password of the logged-in user; the session goes on under a new token.

    Raises `LoginRequired`, `InvalidInput`, `RateLimited`, `InvalidCredentials`.
    """
    user, _ = require_login(request)
    secret = request.host.passwords.normalise(password)
    request.host.limits.hit(request, "reauthenticate")
    account = queries.account_by_id(request, user.id)
    right, _ = request.host.passwords.verify(secret, account.password if account else None)
    if not right:
        raise InvalidCredentials("The password is not right.")
    user = lock_login(request)
    result = rotate_token(request, authenticated=True)
    request.host.hooks.user_reauthenticated(request, user)
    return result


def list_sessions(request: Request) -> list[Session]:
    """The sessions of the logged-in user, the newest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.sessions(request, user.id)


@flow
def end_session(request: Request, session_id: UUID) -> None:
    """End one session of the logged-in user; their own one is a logout.

    Raises `LoginRequired`, `InvalidInput`, `SessionNotFound`.
    """
    _, session = require_login(request)
    if not isinstance(session_id, UUID):
        raise InvalidInput("session_id must be a UUID.", field="session_id")
    if session_id == session.id:
        leave(request)
        return
    user = lock_login(request)
    if not end_sessions(request, user, "ended", only=session_id):
        raise SessionNotFound


@flow
def end_other_sessions(request: Request) -> int:
    """End all sessions of the logged-in user but this one; return how many there were.

    Raises `LoginRequired`.
    """
    _, session = require_login(request)
    user = lock_login(request)
    return end_sessions(request, user, "ended", but=session.id)


@flow
def deactivate(request: Request) -> None:
    """Close the logged-in user's account: no login any more, all sessions end (ASVS 5.0, 7.4.2).

    Raises `LoginRequired`, `ReauthenticationRequired`.
    """
    require_recent_login(request)
    user = lock_login(request)
    request.write(statements.DEACTIVATE, {"of_user": user.id})
    request.host.hooks.user_logged_out(request, user)
    end_sessions(request, user, "deactivated")
    request.host.hooks.user_deactivated(request, replace(user, is_active=False))
    request.log_out()


def leave(request: Request) -> None:
    """Log out whoever is logged in."""
    user, session = request.user, request.session
    if user is None or session is None:
        return
    request.host.hooks.user_logged_out(request, user)
    end_sessions(request, user, "logout", only=session.id)
    request.log_out()


def start_session_or_wait(
    request: Request,
    user: User,
    method: str,
    by_address: str | None,
    *,
    if_password: str | None,
    rehashed: str | None = None,
    provider: str | None = None,
) -> LoginResult:
    """Log ``user`` in, or send a confirmation where mandatory verification holds the login back.

    By an address that one must be verified, else any.
    """
    if request.settings.email_verification == "mandatory":
        addresses = queries.addresses(request, user.id)
        if not any(each.verified and by_address in (None, email_key(each.email)) for each in addresses):
            key = by_address or (email_key(user.email) if user.email else None)
            send_confirmation_to(request, user, key, signup=False)
            return wait_for_verification(request, user.id)
    return start_session(request, user, method, if_password=if_password, rehashed=rehashed, provider=provider)


def start_session(
    request: Request,
    user: User,
    method: str,
    *,
    if_password: str | None,
    rehashed: str | None = None,
    provider: str | None = None,
) -> LoginResult:
    """Log ``user`` in under a new token, if the password still is what was checked.

    Whoever was logged in before is logged out.
    """
    now, settings = request.now, request.settings
    request.host.hooks.before_login(request, user)
    values = {"of_user": user.id, "old_password": if_password, "now": now}
    if rehashed is None:
        met = request.write(statements.LOG_IN, values)
    else:
        met = request.write(statements.LOG_IN_AND_REHASH, {**values, "new_password": rehashed})
    if not met:
        raise Conflict
    if request.user is not None and request.session is not None:
        if request.user.id != user.id:
            leave(request)
        else:
            end_sessions(request, user, "replaced", only=request.session.id)
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
    request.write(
        statements.INSERT_SESSION,
        {name: getattr(session, name) for name in Session.__slots__} | {"token_digest": digest(token)},
    )
    user = replace(user, last_login=now)
    request.log_in(session, user, token)
    request.host.hooks.user_logged_in(request, user)
    return LoginResult(token, user)


def wait_for_verification(request: Request, user_id: UUID) -> LoginResult:
    """A login that waits for its address to be confirmed, in this browser."""
    return LoginResult(request.host.pending_logins.dumps(str(user_id)), waits_for=WAITS_FOR_EMAIL)


def waiting_user(request: Request) -> UUID | None:
    """Whose login waits in this browser."""
    token = request.session_token
    if request.user is not None or not isinstance(token, str):
        return None
    try:
        found = request.host.pending_logins.loads(token, max_age=int(request.settings.pending_login_timeout))
        return UUID(found)
    except (BadSignature, ValueError, TypeError):
        return None


def rotate_token(request: Request, *, authenticated: bool = False) -> TokenResult:
    """Give the session a new token (ASVS 5.0, 7.2.4)."""
    user, session = require_login(request)
    token = new_key()
    if authenticated:
        session = replace(session, authenticated_at=request.now)
    values = {
        "of_id": session.id,
        "new_digest": digest(token),
        "new_authenticated_at": session.authenticated_at,
    }
    if not request.write(statements.CHANGE_TOKEN, values):
        request.log_out()
        raise LoginRequired
    request.log_in(session, user, token)
    return TokenResult(token)


def end_sessions(
    request: Request, user: User, reason: str, *, but: UUID | None = None, only: UUID | None = None
) -> int:
    """End the sessions of a user, all of them, all but one, or only one.

    `session_ended` is called for each that had not expired; returns how many these were.
    """
    now, idle = request.now, timedelta(seconds=request.settings.session_idle)
    ended = [
        session
        for session in queries.delete_sessions(request, user.id, but=but, only=only)
        if session.expires_at > now and now - session.last_seen_at <= idle
    ]
    for session in ended:
        request.host.hooks.session_ended(request, session, reason)
    return len(ended)


def _email_key(name: str) -> str:
    try:
        return parse_email(name).key
    except InvalidInput:
        return key_of(name)
