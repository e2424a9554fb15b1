"""The way back from the account of a user, in which an administrator works, to the administrator's own."""

from __future__ import annotations

from authhost.account.flow import flow_while_impersonating
from authhost.account.sessions import call_session_ended, log_out_current_user
from authhost.records import Session
from authhost.request import Request
from authhost.request.request import TOKEN_LENGTH
from authhost.security.keys import digest
from authhost.store import queries


@flow_while_impersonating
def stop_impersonation(request: Request, *, administrator_token: str | None = None) -> None:
    """End the impersonation of this request, if any. Calls `session_ended` and `impersonation_ended`.

    With the token of the administrator's own session, that is the session of this request then. It has
    never been another one: an impersonation does not end or change it.
    """
    session = request.session
    if session is not None and session.actor is None:
        return
    log_out_current_user(request)
    if administrator_token is not None:
        return_to_administrator(request, administrator_token, session)
    if session is None:
        _end_begun(request)


def return_to_administrator(request: Request, token: str, impersonation: Session | None = None) -> None:
    """Log the administrator in to their own session, if that is the one that began ``impersonation``."""
    found = queries.session_by_digest(request, digest(token)) if len(token) <= TOKEN_LENGTH else None
    if found is None:
        return
    session, account = found
    expired = session.has_expired(request.now, request.settings.session_idle)
    if expired or not account.user.is_active or session.impersonation_id is None:
        return
    if impersonation is None or session.impersonation_id == impersonation.id:
        request.log_in(session, account.user, token, account.password)


def _end_begun(request: Request) -> None:
    """End the impersonation that this session has begun, which the browser had lost, or nobody could read."""
    own = request.session
    if own is not None and own.impersonation_id is not None:
        call_session_ended(request, queries.delete_impersonation(request, own.impersonation_id), "stopped")
