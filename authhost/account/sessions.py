"""The sessions of a user: how they end, and how their tokens change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Executable

from authhost.account.flow import flow, lock_login, require_login
from authhost.account.pending import end_pending_login
from authhost.errors import InvalidInput, LoginRequired, SessionNotFound
from authhost.records import Session, TokenResult, User
from authhost.request import Request
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements
from authhost.store.transaction import Sent


@flow
def logout(request: Request) -> None:
    """End the session, after `user_logged_out`, and the login that waits in this browser, if any.

    Nothing happens when nobody is logged in.
    """
    end_pending_login(request)
    log_out_current_user(request)


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
        log_out_current_user(request)
        return
    user = lock_login(request)
    if not _end(request, user, "ended", statements.DELETE_SESSION, of_id=session_id):
        raise SessionNotFound


@flow
def end_other_sessions(request: Request) -> int:
    """End all sessions of the logged-in user but this one; return how many there were.

    Raises `LoginRequired`.
    """
    user = lock_login(request)
    return end_sessions(request, user, "ended", but=request.session)


def log_out_current_user(request: Request) -> None:
    """Log out whoever is logged in."""
    user = request.user
    if user is None:
        return
    request.services.hooks.user_logged_out(request, user)
    tell_ended(request, delete_own_session(request, user), "logout")
    request.log_out()


def end_sessions(request: Request, user: User, reason: str, *, but: Session | None = None) -> int:
    """End the sessions of a user, all of them or all but one.

    `session_ended` is called for each that had not expired; returns how many these were.
    """
    if but is None:
        return _end(request, user, reason, statements.DELETE_SESSIONS)
    return _end(request, user, reason, statements.DELETE_OTHER_SESSIONS, of_id=but.id)


def delete_own_session(request: Request, user: User) -> list[Session]:
    """Delete the session of this unit of work, if its token is still the one that opened the unit.

    Returns it for `tell_ended`, unless it had expired.
    """
    session, token = request.session, request.session_token
    if session is None or token is None:
        return []
    return _delete(request, user, statements.DELETE_OWN_SESSION, of_id=session.id, of_digest=digest(token))


def tell_ended(request: Request, sessions: list[Session], reason: str) -> None:
    """Call `session_ended` for sessions that were deleted."""
    for session in sessions:
        request.services.hooks.session_ended(request, session, reason)


def _end(request: Request, user: User, reason: str, statement: Executable, **values: object) -> int:
    ended = _delete(request, user, statement, **values)
    tell_ended(request, ended, reason)
    return len(ended)


def _delete(request: Request, user: User, statement: Executable, **values: object) -> list[Session]:
    """Delete sessions; return those that had not expired."""
    now, idle = request.now, timedelta(seconds=request.settings.session_idle)
    return [
        session
        for session in queries.delete_sessions(request, statement, user.id, **values)
        if session.expires_at > now and now - session.last_seen_at <= idle
    ]


class Rotation:
    """A new token for a session, on its way to the database."""

    def __init__(self, request: Request, session: Session, user: User, token: str, sent: Sent) -> None:
        self._request, self._session, self._user = request, session, user
        self._token, self._sent = token, sent

    def result(self) -> TokenResult:
        """The token; raises `LoginRequired` where the session has another one by now."""
        request = self._request
        if not self._sent.rowcount:
            request.log_out()
            raise LoginRequired
        request.log_in(self._session, self._user, self._token, request.stored_password)
        return TokenResult(self._token)


def rotate_token(request: Request, *, authenticated: bool = False) -> Rotation:
    """Give the session a new token (ASVS 5.0, 7.2.4). ``authenticated`` says that a password was right."""
    user, session = require_login(request)
    token = new_key()
    if authenticated:
        session = replace(session, authenticated_at=request.now)
    values = {
        "of_id": session.id,
        "of_digest": digest(request.session_token or ""),
        "new_digest": digest(token),
        "new_authenticated_at": session.authenticated_at,
    }
    return Rotation(request, session, user, token, request.send(statements.CHANGE_TOKEN, values))
