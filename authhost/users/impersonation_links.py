"""A link by which an operator goes to the account of a user in a browser. It works once."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Actor

from authhost.account.flow import attach_user, flow
from authhost.account.sessions import log_out_current_user
from authhost.errors import AuthError, InvalidInput, InvalidKey, InvalidState
from authhost.records import Impersonation, User
from authhost.request import Request
from authhost.socialaccount import pending
from authhost.store import queries
from authhost.users.impersonation import check_impersonation, start_impersonation

LINK_SECONDS = 300
"""How long a link works."""
KIND = "impersonation"


def create_link(request: Request, user: User, reason: str) -> str:
    """Return the URL of a link for the operator who acts; raises what `start_impersonation` raises.

    A person with an account begins in their own session instead: `InvalidInput`.
    """
    actor, reason = check_impersonation(request, user, request.actor, reason)
    if actor.kind != "operator":
        raise InvalidInput("A link is for an operator; a user begins in their own session.", field="actor")
    values = {"user_id": str(user.id), "operator": actor.name, "reason": reason}
    return request.build_url("impersonate", key=pending.save(request, KIND, values, seconds=LINK_SECONDS))


@flow
def begin_impersonation(request: Request, *, key: str) -> Impersonation:
    """Begin the impersonation of a link in this browser. Who was logged in there is logged out.

    Raises `InvalidKey`, `ImpersonationRefused`, `AccountInactive`.
    """
    try:
        values = pending.load(request, KIND, key)
        pending.consume(request, key)
    except InvalidState:
        raise InvalidKey from None
    log_out_current_user(request)
    user_id = UUID(values["user_id"])
    queries.lock_account(request, user_id)
    account = queries.account_by_id(request, user_id)
    if account is None:
        raise InvalidKey
    actor = Actor("operator", name=values["operator"])
    request.set_actor(actor)
    try:
        begun = start_impersonation(request, account.user, values["reason"], actor)
    except AuthError as refusal:
        raise attach_user(refusal, account.user) from None
    request.log_in(begun.session, begun.user, begun.session_token, None)
    return begun
