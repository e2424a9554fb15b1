"""An administrator goes to the account of a user, and back."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import PageMessage, Values

from authhost.account.flow import is_impersonated
from authhost.users import Changes
from authhost.web import fields
from authhost.web.cookies import NO_OWN_SESSION
from authhost.web.endpoint import Endpoint, Outcome
from authhost.web.links import key_of_link
from authhost.web.schemas import login_state
from authhost.web.visit import Visit

RETURN_SECONDS = 86400
"""How long a browser that was closed in an impersonation can return to the administrator's own session."""


def begin(visit: Visit, user_id: UUID, reason: str) -> Outcome:
    """Go on in the account of a user, for an endpoint of administrators. It requires a recent login.

    A browser keeps the token of the administrator's own session in another cookie, which no page can
    read. A client without cookies gets the new token, and keeps its own.
    """
    visit.require_recent_login()
    request, own = visit.request, visit.request.session_token or ""
    begun = Changes(request).impersonate(user_id, reason=reason)
    if visit.credential == "cookie":
        lasts = begun.session.expires_at - request.now
        visit.set_cookie(visit.web.cookies.administrator, own, lasts.total_seconds() + RETURN_SECONDS)
    request.log_in(begun.session, begun.user, begun.session_token, None)
    return Outcome(login_state(visit), location=visit.web.host.settings.after_login)


def begin_by_link(visit: Visit, values: Values) -> Outcome:
    with key_of_link(visit, visit.web.cookies.impersonation_key, values) as key:
        begun = visit.web.host.users.begin_impersonation(visit.request, key=key)
    if visit.credential == "cookie":
        lasts = begun.session.expires_at - visit.request.now
        visit.set_cookie(visit.web.cookies.administrator, NO_OWN_SESSION, lasts.total_seconds())
    return Outcome(login_state(visit), location=visit.web.host.settings.after_login)


def stop(visit: Visit, values: Values) -> Outcome:
    leave(visit)
    returned = visit.request.user is not None
    text = (
        visit.gettext("You are back in your own account.")
        if returned
        else visit.gettext("You no longer work in the account of somebody else.")
    )
    message = PageMessage("success", text, "impersonation_stopped")
    return Outcome(login_state(visit), to="/" if returned else "/login", message=message)


def leave(visit: Visit) -> None:
    """Return to the administrator's own session, if this browser works in the account of somebody else."""
    own = visit.cookie(visit.web.cookies.administrator)
    if own or is_impersonated(visit.request):
        visit.web.host.account.stop_impersonation(visit.request, administrator_token=own or None)
        visit.take_cookie(visit.web.cookies.administrator)  # a refusal keeps the way back


ENDPOINTS = [
    Endpoint(
        path="/impersonation/begin",
        summary="Begin to work in the account of a user, with the key of a link.",
        run=begin_by_link,
        page="/impersonation/begin",
        fields=(fields.KEY, fields.LINK),
        result="Login",
        refusals=("invalid_key", "impersonation_refused", "account_inactive"),
    ),
    Endpoint(
        path="/impersonation/stop",
        summary="Stop working in the account of somebody else, and return to one's own session.",
        run=stop,
        page="/",
        result="Login",
    ),
]
