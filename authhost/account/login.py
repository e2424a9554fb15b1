"""Login and logout, reauthentication, and the sessions of a user."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from itsdangerous import BadSignature

from authhost.account.flow import about, flow, require_login, require_recent_login
from authhost.account.verification import send_confirmation_to
from authhost.errors import Conflict, InvalidCredentials, InvalidInput, LoginRequired, SessionNotFound
from authhost.inputs import email_key
from authhost.inputs import identifier as parse_identifier
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
    name = parse_identifier(identifier)
    secret = host.passwords.normalise(password)
    request.meant(name.key)

    find = queries.account_by_email if name.is_email else queries.account_by_username
    account = find(request, name.key)
    user = account.user if account else None
    host.limits.hit_for(request, user, "login")
    with host.limits.password_check(request, user, name.key):
        right, newer = host.passwords.verify(secret, account.password if account else None)
        if account is None or not right or not account.user.is_active:
            raise about(InvalidCredentials(), user)
    by_address = name.key if name.is_email else None
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
    with request.host.limits.password_check(request, user, ""):
        right, _ = request.host.passwords.verify(secret, account.password if account else None)
        if not right:
            raise InvalidCredentials("The password is not right.")
    return rotate_token(request, authenticated=True)


def list_sessions(request: Request) -> list[Session]:
    """The sessions of the logged-in user, the newest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.sessions(request, user.id)


@flow
def end_session(request: Request, session_id: UUID) -> None:
    """End one session of the logged-in user; their own one is a logout.

    Raises `LoginRequired`, `InvalidInput`, `SessionNotFound`.
    """
    user, session = require_login(request)
    if not isinstance(session_id, UUID):
        raise InvalidInput("session_id must be a UUID.", field="session_id")
    if session_id == session.id:
        logout(request)
        return
    if not request.write(statements.DELETE_SESSION, {"of_id": session_id, "of_user": user.id}):
        raise SessionNotFound


@flow
def end_other_sessions(request: Request) -> int:
    """End all sessions of the logged-in user but this one; return how many there were.

    Raises `LoginRequired`.
    """
    user, session = require_login(request)
    return end_sessions(request, user.id, but=session.id)


@flow
def deactivate(request: Request) -> None:
    """Close the logged-in user's account: no login any more, all sessions end (ASVS 5.0, 7.4.2).

    Raises `LoginRequired`, `ReauthenticationRequired`.
    """
    user, _ = require_recent_login(request)
    request.write(statements.DEACTIVATE, {"of_user": user.id})
    request.host.hooks.user_logged_out(request, user)
    end_sessions(request, user.id)
    request.log_out()


def leave(request: Request) -> None:
    """Log out whoever is logged in."""
    if request.user is None or request.session is None:
        return
    request.host.hooks.user_logged_out(request, request.user)
    request.write(statements.DELETE_SESSION, {"of_id": request.session.id, "of_user": request.user.id})
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
            request.write(statements.DELETE_SESSION, {"of_id": request.session.id, "of_user": user.id})
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
    return LoginResult(token, user, device_token=request.device_token_for(user))


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


def end_sessions(request: Request, user_id: UUID, *, but: UUID | None = None) -> int:
    """End the sessions of a user, all or all but one."""
    if but is None:
        return request.write(statements.DELETE_SESSIONS, {"of_user": user_id})
    return request.write(statements.DELETE_OTHER_SESSIONS, {"of_user": user_id, "of_id": but})
