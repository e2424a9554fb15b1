"""What administrators do with accounts: each a form of a page, and a JSON endpoint.

The actor of each change, which the audit trail records, is the logged-in administrator.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from authhost_hookspecs import Field, PageMessage, Values

from authhost.errors import InvalidInput
from authhost.web.admin import fields
from authhost.web.admin.access import account_of, name_of, user_id_of
from authhost.web.admin.user_list import CREATE, LIST, USER, read_users, user_path
from authhost.web.admin.user_page import DELETE, read_user
from authhost.web.endpoint import Endpoint, Outcome, Reader
from authhost.web.endpoints.impersonation import begin
from authhost.web.inputs import uuid_of
from authhost.web.problems import WebError
from authhost.web.schemas import account_json, email_json
from authhost.web.visit import Visit


def create(visit: Visit, values: Values) -> Outcome:
    user = visit.request.accounts.create(
        str(values["email"]) or None,
        username=str(values["username"]) or None,
        verified=values["verified"] is True,
        invite=values["invite"] is True,
    )
    text = visit.gettext("The account is created.")
    message = PageMessage("success", text, "account_created")
    return Outcome(account_json(user), to=user_path(user.id), message=message)


def invite(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.invite(user_id_of(visit))
    return _done(visit, "link_sent", visit.gettext("The link has been sent."))


def add_email(visit: Visit, values: Values) -> Outcome:
    verified = values["verified"] is True
    address = visit.request.accounts.add_email(user_id_of(visit), str(values["email"]), verified=verified)
    return _done(visit, "email_added", visit.gettext("The address is added."), **email_json(address))


def verify_email(visit: Visit, values: Values) -> Outcome:
    address = visit.request.accounts.verify_email(user_id_of(visit), str(values["email"]))
    text = visit.gettext("The address counts as confirmed.")
    return _done(visit, "email_confirmed", text, **email_json(address))


def make_primary(visit: Visit, values: Values) -> Outcome:
    address = visit.request.accounts.make_primary(user_id_of(visit), str(values["email"]))
    text = visit.gettext("It is the primary address now.")
    return _done(visit, "primary_changed", text, **email_json(address))


def remove_email(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.remove_email(user_id_of(visit), str(values["email"]))
    return _done(visit, "email_removed", visit.gettext("The address is removed."))


def send_reset(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.send_reset(user_id_of(visit))
    return _done(visit, "link_sent", visit.gettext("The link has been sent."))


def require_reset(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.require_reset(user_id_of(visit))
    text = visit.gettext("The password is not accepted any more, and all sessions have ended.")
    return _done(visit, "reset_required", text)


def disconnect(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.disconnect(user_id_of(visit), uuid_of(values, "item"))
    return _done(visit, "disconnected", visit.gettext("The connection is removed."))


def end_session(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.end_session(user_id_of(visit), uuid_of(values, "item"))
    return _done(visit, "session_ended", visit.gettext("The session has ended."))


def end_sessions(visit: Visit, values: Values) -> Outcome:
    count = visit.request.accounts.end_sessions(user_id_of(visit))
    return _done(visit, "sessions_ended", visit.gettext("All sessions have ended."), ended=count)


def remove_factors(visit: Visit, values: Values) -> Outcome:
    count = visit.request.accounts.remove_factors(user_id_of(visit), reason=str(values["reason"]))
    return _done(visit, "factors_removed", visit.gettext("All second factors are removed."), removed=count)


def deactivate(visit: Visit, values: Values) -> Outcome:
    """Deactivate another account: administrators would lock themselves out."""
    user_id, day = user_id_of(visit), str(values["until"])
    _require_other(visit)
    until = datetime.combine(date.fromisoformat(day), time.min, UTC) if day else None
    visit.request.accounts.deactivate(user_id, until=until, reason=str(values["reason"]) or None)
    return _done(visit, "deactivated", visit.gettext("The account is deactivated."))


def reactivate(visit: Visit, values: Values) -> Outcome:
    visit.request.accounts.reactivate(user_id_of(visit))
    return _done(visit, "reactivated", visit.gettext("The account is active again."))


def export(visit: Visit, values: Values) -> Outcome:
    user_id = user_id_of(visit)
    return Outcome(visit.request.accounts.export(user_id), download=f"{user_id}.json")


def impersonate(visit: Visit, values: Values) -> Outcome:
    return begin(visit, user_id_of(visit), str(values["reason"]))


def delete(visit: Visit, values: Values) -> Outcome:
    """Delete another account, whose name was typed."""
    user = account_of(visit).user
    _require_other(visit)
    if str(values["confirm"]).strip().lower() not in {
        each.lower() for each in (user.email, user.username, str(user.id)) if each
    }:
        raise InvalidInput("confirm must be the address, username or identifier.", field="confirm")
    failed = visit.request.accounts.delete(user.id)
    _, name = visit.gettext, name_of(user)
    message = PageMessage("success", _("The account %(name)s is deleted.", name=name), "account_deleted")
    if failed:
        text = _("The account is deleted. These plugins have failed, and are called again: %(plugins)s")
        message = PageMessage("warning", text % {"plugins": ", ".join(failed)}, "account_deleted")
    return Outcome({"failed": list(failed)}, to=LIST, message=message)


def _done(visit: Visit, code: str, text: str, **body: object) -> Outcome:
    message = PageMessage("success", text, code)
    return Outcome(body, to=user_path(user_id_of(visit)), message=message)


def _require_other(visit: Visit) -> None:
    if user_id_of(visit) == visit.user.id:
        raise WebError("own_account")


def _of_user(
    name: str,
    run: Callable[[Visit, Values], Outcome],
    summary: str,
    *more: Field,
    refusals: tuple[str, ...] = (),
    result: str = "Empty",
) -> Endpoint:
    return Endpoint(
        path=f"{USER}/{name}",
        summary=summary,
        run=run,
        page=USER,
        fields=(fields.ID, *more),
        result=result,
        refusals=("user_not_found", *refusals),
        administrator=True,
    )


ENDPOINTS = [
    Endpoint(
        path=CREATE,
        summary="Create an account without a password.",
        run=create,
        page=CREATE,
        fields=(fields.NEW_EMAIL, fields.NEW_USERNAME, fields.VERIFIED, fields.INVITE),
        result="Account",
        refusals=("invalid_email", "email_taken", "username_taken", "email_not_found", "delivery_failed"),
        administrator=True,
    ),
    Endpoint(
        path=DELETE,
        summary="Delete an account with everything that is stored of it.",
        run=delete,
        page=DELETE,
        fields=(fields.ID, fields.CONFIRM),
        result="Deleted",
        refusals=("user_not_found", "own_account"),
        administrator=True,
    ),
    _of_user(
        "invite",
        invite,
        "Send the link to set a password.",
        refusals=("email_not_found", "account_inactive", "delivery_failed"),
    ),
    _of_user(
        "add-email",
        add_email,
        "Add an address, without a message to it.",
        fields.ADDED_EMAIL,
        fields.VERIFIED,
        refusals=("invalid_email", "too_many_emails", "email_taken"),
        result="EmailAddress",
    ),
    _of_user(
        "verify-email",
        verify_email,
        "Make an address count as confirmed.",
        fields.ADDRESS,
        refusals=("invalid_email", "email_not_found", "email_taken"),
        result="EmailAddress",
    ),
    _of_user(
        "make-primary",
        make_primary,
        "Make an address the primary one.",
        fields.ADDRESS,
        refusals=("invalid_email", "email_not_found", "email_not_verified"),
        result="EmailAddress",
    ),
    _of_user(
        "remove-email",
        remove_email,
        "Remove an address that is not the primary one.",
        fields.ADDRESS,
        refusals=("invalid_email", "email_not_found", "primary_email_required"),
    ),
    _of_user(
        "send-reset",
        send_reset,
        "Send the link of a password reset.",
        refusals=("email_not_found", "email_not_verified", "account_inactive", "delivery_failed"),
    ),
    _of_user("require-reset", require_reset, "Accept the password no more, and end all sessions."),
    _of_user(
        "disconnect",
        disconnect,
        "Disconnect an account at a provider.",
        fields.ITEM,
        refusals=("social_account_not_found",),
    ),
    _of_user(
        "remove-factors",
        remove_factors,
        "Remove the second factors and passkeys that the user has lost.",
        fields.REMOVAL_REASON,
        refusals=("factors_not_removed",),
        result="Removed",
    ),
    _of_user("end-session", end_session, "End a session.", fields.ITEM, refusals=("session_not_found",)),
    _of_user("end-sessions", end_sessions, "End all sessions.", result="Ended"),
    _of_user(
        "deactivate",
        deactivate,
        "Deactivate the account, until a day or for good.",
        fields.UNTIL,
        fields.REASON,
        refusals=("own_account",),
    ),
    _of_user("reactivate", reactivate, "Make the account active again."),
    _of_user(
        "impersonate",
        impersonate,
        "Work in the account, for an hour at most.",
        fields.IMPERSONATION_REASON,
        refusals=("impersonated", "impersonation_refused", "account_inactive"),
        result="Login",
    ),
    _of_user(
        "export", export, "Return everything that is stored.", refusals=("export_failed",), result="Export"
    ),
]
READERS = [
    Reader(
        path=LIST,
        summary="List the newest accounts, or those that begin so.",
        run=read_users,
        result="Accounts",
        fields=fields.SEARCH,
        administrator=True,
    ),
    Reader(
        path=USER,
        summary="Return an account.",
        run=read_user,
        result="AccountDetails",
        fields=(fields.ID,),
        refusals=("user_not_found",),
        administrator=True,
    ),
]
