"""The sessions of a user: list and end them, and change their tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Executable

from authhost.account.flow import (
    check_change,
    flow,
    flow_while_impersonating,
    lock_login,
    require_login,
)
from authhost.account.pending import end_pending_login
from authhost.errors import InvalidInput, LoginRequired, SessionNotFound
from authhost.records import Authentication, Session, TokenResult, User
from authhost.request import Request
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements
from authhost.store.transaction import Sent


@flow_while_impersonating
def logout(request: Request) -> None:
    """Call `user_logged_out`, then end the session, and the pending login of this browser, if any.

    Does nothing if nobody is logged in. An impersonation is stopped, and `user_logged_out` is not called.
    """
    end_pending_login(request)
    log_out_current_user(request)


@flow_while_impersonating
def cancel_login(request: Request) -> None:
    """End the pending login of this browser, if any. Somebody who is logged in stays so."""
    end_pending_login(request)


def list_sessions(request: Request) -> list[Session]:
    """Return the sessions of the logged-in user that have not expired, newest first.

    Raises `LoginRequired`.
    """
    user, _ = require_login(request)
    return live_sessions(request, user.id)


def live_sessions(request: Request, user_id: UUID) -> list[Session]:
    """Return the sessions of a user that have not expired, newest first."""
    now, idle = request.now, request.settings.session_idle
    return [each for each in queries.sessions(request, user_id) if not each.has_expired(now, idle)]


@flow
def end_session(request: Request, session_id: UUID) -> None:
    """End one session of the logged-in user. Ending the current session is a logout.

    Raises `LoginRequired`, `InvalidInput`, `SessionNotFound`.
    """
    _, session = require_login(request)
    if not isinstance(session_id, UUID):
        raise InvalidInput("session_id must be a UUID.", field="session_id")
    if session_id == session.id:
        log_out_current_user(request)
        return
    user = lock_login(request)
    check_change(request, user, "end_sessions")
    if session_id not in {each.id for each in live_sessions(request, user.id)}:
        raise SessionNotFound
    end_one_session(request, user, session_id, "ended")


@flow
def end_other_sessions(request: Request) -> int:
    """End all other sessions of the logged-in user; return their number.

    Raises `LoginRequired`.
    """
    user = lock_login(request)
    check_change(request, user, "end_sessions")
    end_logins_at_steps(request, user)
    return end_sessions(request, user, "ended", keep=request.session)


def log_out_current_user(request: Request) -> None:
    """Log out the logged-in user, if any."""
    user, session = request.user, request.session
    if user is None or session is None:
        return
    if session.actor is not None:
        call_session_ended(request, delete_own_session(request, user), "stopped")
    else:
        request.services.hooks.user_logged_out(request, user)
        call_session_ended(request, delete_own_session(request, user), "logout")
    request.log_out()


def log_out_former_user(request: Request, user: User) -> None:
    """Log out the logged-in user, if any, because ``user`` logs in.

    If that is somebody else, the hooks do not see what ``user`` has given the flow.
    """
    if request.user is None or request.user.id == user.id:
        log_out_current_user(request)
        return
    with request.hooks_of_another_user():
        log_out_current_user(request)


def end_sessions(request: Request, user: User, reason: str, *, keep: Session | None = None) -> int:
    """End all sessions of a user, except ``keep``; return the number of those that had not expired."""
    if keep is None:
        return _end(request, user, reason, statements.DELETE_SESSIONS)
    return _end(request, user, reason, statements.DELETE_OTHER_SESSIONS, of_id=keep.id)


def end_one_session(request: Request, user: User, session_id: UUID, reason: str) -> None:
    """End one session of a user; raises `SessionNotFound`."""
    if not _end(request, user, reason, statements.DELETE_SESSION, of_id=session_id):
        raise SessionNotFound


def end_logins_at_steps(request: Request, user: User) -> None:
    """Delete the logins of a user that wait for steps of plugins."""
    request.send_statement(statements.DELETE_LOGINS_AT_STEPS, {"of_user": user.id})


def end_all_sessions(request: Request, user: User, reason: str) -> int:
    """End all sessions of a user, and return their number; the user of this request is logged out."""
    own = request.user is not None and request.user.id == user.id
    if own:
        request.services.hooks.user_logged_out(request, user)
    end_logins_at_steps(request, user)
    ended = end_sessions(request, user, reason)
    if own:
        request.log_out()
    return ended


def delete_own_session(request: Request, user: User) -> list[Session]:
    """Delete the session of this unit of work, if its token has not been replaced since.

    Returns the session for `call_session_ended`, or an empty list.
    """
    session, token = request.session, request.session_token
    if session is None or token is None:
        return []
    values = {"of_id": session.id, "of_digest": digest(token)}
    return queries.delete_sessions(request, statements.DELETE_OWN_SESSION, user.id, **values)


def call_session_ended(request: Request, sessions: list[Session], reason: str) -> None:
    """Call `session_ended` for sessions that were deleted. The reason is ``expired`` for those that had.

    With the session of an administrator ends the impersonation that it has begun.
    """
    now, idle, hooks = request.now, request.settings.session_idle, request.services.hooks
    for session in sessions:
        why = "expired" if session.has_expired(now, idle) else reason
        hooks.session_ended(request, session, why)
        if session.actor is not None:
            hooks.impersonation_ended(request, session, why)
        if session.impersonation_id is not None:
            begun = queries.delete_impersonation(request, session.impersonation_id)
            call_session_ended(request, begun, "administrator")


def _end(request: Request, user: User, reason: str, statement: Executable, **values: object) -> int:
    ended = queries.delete_sessions(request, statement, user.id, **values)
    call_session_ended(request, ended, reason)
    now, idle = request.now, request.settings.session_idle
    return sum(not session.has_expired(now, idle) for session in ended)


class Rotation:
    """A change of a session's token, whose statement was sent but not awaited."""

    def __init__(self, request: Request, session: Session, user: User, token: str, sent: Sent) -> None:
        self._request, self._session, self._user = request, session, user
        self._token, self._sent = token, sent

    def result(self) -> TokenResult:
        """Return the new token; raises `LoginRequired` if another request has replaced the token."""
        request = self._request
        if not self._sent.rowcount:
            request.log_out()
            raise LoginRequired
        request.log_in(self._session, self._user, self._token, request.stored_password)
        return TokenResult(self._token)


def rotate_token(request: Request, *, again: Authentication | None = None) -> Rotation:
    """Give the session a new token (ASVS 5.0, 7.2.4). ``again`` is how the user has authenticated again."""
    user, session = require_login(request)
    token = new_key()
    if again is not None:
        session = replace(
            session,
            authenticated_at=again.time,
            authentications=_latest(request.authentication, session.created_at, again),
        )
    values = {
        "of_id": session.id,
        "of_digest": digest(request.session_token or ""),
        "new_digest": digest(token),
        "new_authenticated_at": session.authenticated_at,
        "new_authentications": session.authentications,
    }
    return Rotation(request, session, user, token, request.send_statement(statements.CHANGE_TOKEN, values))


def _latest(
    known: tuple[Authentication, ...], login: datetime, again: Authentication
) -> tuple[Authentication, ...]:
    """Return the authentications of the login, and of the later ones the latest of each method."""
    kept = (each for each in known if each.time <= login or each.method != again.method)
    return (*kept, again)
