"""An administrator works in the account of a user, to see what the user sees: the rules, and the end."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from authhost_hookspecs import Actor
from sqlalchemy.exc import DBAPIError

from authhost.account.sessions import call_session_ended
from authhost.errors import (
    AccountInactive,
    AuthError,
    ImpersonationRefused,
    LoginRequired,
    RequiredPluginFailed,
    Vetoed,
)
from authhost.records import Impersonation, Session, User
from authhost.request import Request
from authhost.security.inputs import reason as parse_reason
from authhost.security.keys import digest, new_key
from authhost.services import Services
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock
from authhost.users.administrators import is_administrator

log = logging.getLogger("authhost")

METHOD = "impersonation"
"""The method of the session: nobody has authenticated as the user."""
LONGEST = timedelta(minutes=60)
"""How long an impersonation lasts at most. Nothing extends it."""


def start_impersonation(
    request: Request, user: User, reason: str, actor: Actor | None = None
) -> Impersonation:
    """Begin a session in the account of ``user``, which is locked; call `impersonation_started`.

    It is no login: the account and the session of this request stay as they are, apart from a reference
    to the new session. ``actor`` is by default who acts in the request. Raises `InvalidInput`,
    `ImpersonationRefused`, `AccountInactive`, `LoginRequired`.
    """
    actor, reason = check_impersonation(request, user, actor or request.actor, reason)
    own = request.session if actor.id is not None and actor.id == _user_id(request) else None
    session, token = _session(request, user, actor, reason, own), new_key()
    row = {name: getattr(session, name) for name in Session.__slots__} | {"token_digest": digest(token)}
    request.send_statement(statements.INSERT_SESSION, row)
    if own is not None:
        _refer(request, own, session)
    request.services.hooks.impersonation_started(request, user, session)
    return Impersonation(token, user, session)


def check_impersonation(request: Request, user: User, actor: Actor | None, reason: str) -> tuple[Actor, str]:
    """Return the actor and the reason if the actor may work in the account of ``user``."""
    reason = parse_reason(reason)
    actor = _administrator(request, actor)
    if user.id == actor.id:
        raise ImpersonationRefused("This is your own account.", reason="own_account")
    if not user.is_active:
        raise AccountInactive
    # While a plugin is blocked that may say so, anybody may be one.
    if is_administrator(request, user) or request.services.hooks.blocked_plugins("is_administrator"):
        message = "Nobody can work in the account of an administrator."
        raise ImpersonationRefused(message, reason="administrator")
    return actor, reason


def is_over(request: Request, session: Session, user: User) -> bool:
    """Return whether an impersonation must not go on. It is ended then, in a unit of work of its own.

    That is at once, unless this one has written something: a flow that follows may need one of its own.
    It is asked at each request, since nobody may have told the host that the administrator has lost the
    right. A plugin that cannot say who is an administrator stops the request, not the impersonation.
    """
    try:
        why = _why_over(request, session, user)
    except Vetoed:
        request.impersonation_undecided = True
        return True
    if why is None:
        return False
    if request.clean and not request.depth:
        _end(request, session, why)
    else:
        request.after_commit(lambda: _end(request, session, why))
    return True


def _administrator(request: Request, actor: Actor | None) -> Actor:
    """Return the actor if they may work in the accounts of others: an operator, or an administrator."""
    if actor is None or actor.kind == "application":
        raise ImpersonationRefused("Only a person can work in an account.", reason="no_person")
    if actor.id is not None:
        account = queries.account_by_id(request, actor.id)
        if account is None or not is_administrator(request, account.user):
            message = "Only an administrator can work in the account of somebody else."
            raise ImpersonationRefused(message, reason="not_administrator")
    return actor


def _user_id(request: Request) -> UUID | None:
    return request.user.id if request.user is not None else None


def _session(request: Request, user: User, actor: Actor, reason: str, own: Session | None) -> Session:
    """Return the new session. The user, who sees it in the list, does not see where the administrator is."""
    now = request.now
    return Session(
        id=request.new_id(),
        user_id=user.id,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + LONGEST,
        method=METHOD,
        provider=None,
        ip_address=None,
        user_agent="",
        actor_id=actor.id,
        actor_name=actor.name,
        actor_session_id=own.id if own is not None else None,
        impersonation_reason=reason,
    )


def _refer(request: Request, own: Session, session: Session) -> None:
    """Let the administrator's own session refer to the new one, and end what it has begun before.

    Another request may have begun something since this one has read the session: it is locked first.
    """
    request.write(statements.TOUCH_SESSION, {"of_id": own.id, "now": request.now})
    found = queries.session_by_id(request, own.id)
    values = {
        "of_id": own.id,
        "of_digest": digest(request.session_token or ""),
        "new_impersonation": session.id,
    }
    if found is None or not request.write(statements.SET_IMPERSONATION, values):
        raise LoginRequired
    if found[0].impersonation_id is not None:
        former = queries.delete_impersonation(request, found[0].impersonation_id)
        call_session_ended(request, former, "replaced")
    request.replace_session(replace(own, impersonation_id=session.id))


def _why_over(request: Request, session: Session, user: User) -> str | None:
    """Return why an impersonation must end, as the reason of `session_ended`, or None if it goes on."""
    now, idle = request.now, request.settings.session_idle
    if session.has_expired(now, idle):
        return "expired"
    if not user.is_active or is_administrator(request, user):
        return "administrator"
    if session.actor_id is None:
        return None
    if session.actor_session_id is None:
        account = queries.account_by_id(request, session.actor_id)
    else:
        found = queries.session_by_id(request, session.actor_session_id)
        own, account = found if found is not None else (None, None)
        if own is None or own.has_expired(now, idle) or own.impersonation_id != session.id:
            return "administrator"
    may_go_on = account is not None and is_administrator(request, account.user)
    return None if may_go_on else "administrator"


def _end(request: Request, session: Session, why: str) -> None:
    """End an impersonation in another unit of work. After a failure the next request tries again."""
    services: Services = request.services
    try:
        with Request(
            services, ip_address=request.ip_address, user_agent=request.user_agent, actor=session.actor
        ) as ending:
            call_session_ended(ending, queries.delete_impersonation(ending, session.id), why)
    except (AuthError, RequiredPluginFailed) as error:
        log.error("the impersonation %s was not ended: %s", session.id, error)
    except DBAPIError as error:
        if not is_deadlock(error):
            raise
        log.error("the impersonation %s was not ended, because of a deadlock", session.id)
