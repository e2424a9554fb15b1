"""Confirmation of an address, and the addresses of an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authhost_hookspecs import Field, PageMessage, Values

from authhost.web import fields
from authhost.web.endpoint import Endpoint, Outcome, Reader
from authhost.web.endpoints.after_login import after_login
from authhost.web.languages import N_
from authhost.web.links import key_of_link
from authhost.web.schemas import email_json, login_state
from authhost.web.visit import Visit

PASSWORD = Field(
    "password",
    N_("Your password"),
    "password",
    required=False,
    hint=N_(
        "You signed up in another browser. Without the password, it is removed, and you choose a new one."
    ),
    max_length=fields.PASSWORD_LENGTH,
)


def confirm(visit: Visit, values: Values) -> Outcome:
    _ = visit.gettext
    cookie = visit.web.cookies.confirm_key
    password = str(values["password"]) or None
    with key_of_link(visit, cookie, values) as key:
        result = visit.web.host.account.confirm_email(visit.request, key=key, password=password)
    body = {
        "email": email_json(result.email_address),
        "recovered": result.recovered,
        **login_state(visit, result.login.steps if result.login is not None else ()),
    }
    text = _("Your address %(email)s is confirmed.", email=result.email_address.email)
    message = PageMessage("success", text, "email_confirmed")
    if result.recovered:
        text = _("Your address is confirmed. Please choose a new password: ask for a link here.")
        return Outcome(body, to="/forgot-password", message=PageMessage("success", text, "recovered"))
    if result.login is not None:
        return replace(after_login(visit, result.login.steps), body=body, message=message)
    return Outcome(body, to="/emails" if visit.request.user is not None else "/login", message=message)


def send(visit: Visit, values: Values) -> Outcome:
    _ = visit.gettext
    sent = visit.web.host.account.send_confirmation(visit.request, email=str(values["email"]) or None)
    page = "/emails" if visit.request.user is not None else "/confirm-email"
    if sent:
        message = PageMessage("success", _("The confirmation has been sent."), "confirmation_sent")
    else:
        text = _("A confirmation was sent a few minutes ago. Please look for it, also in the spam folder.")
        message = PageMessage("info", text, "confirmation_not_sent")
    return Outcome({"sent": sent}, to=page, message=message)


def change_pending(visit: Visit, values: Values) -> Outcome:
    result = visit.web.host.account.change_pending_email(visit.request, email=str(values["email"]))
    text = visit.gettext("The confirmation has been sent to the new address.")
    return Outcome(
        login_state(visit, result.steps),
        status=200 if result.authenticated else 202,
        to="/confirm-email",
        message=PageMessage("success", text, "pending_email_changed"),
    )


def add(visit: Visit, values: Values) -> Outcome:
    address = visit.web.host.account.add_email(visit.request, email=str(values["email"]))
    text = visit.gettext("A confirmation has been sent to %(email)s.", email=address.email)
    return Outcome(email_json(address), to="/emails", message=PageMessage("success", text, "email_added"))


def remove(visit: Visit, values: Values) -> Outcome:
    address = visit.web.host.account.remove_email(visit.request, email=str(values["email"]))
    text = visit.gettext("The address %(email)s has been removed.", email=address.email)
    return Outcome(to="/emails", message=PageMessage("success", text, "email_removed"))


def make_primary(visit: Visit, values: Values) -> Outcome:
    address = visit.web.host.account.make_primary(visit.request, email=str(values["email"]))
    text = visit.gettext("%(email)s is your primary address now.", email=address.email)
    return Outcome(email_json(address), to="/emails", message=PageMessage("success", text, "primary_changed"))


def list_all(visit: Visit) -> Mapping[str, Any]:
    found = visit.web.host.account.list_emails(visit.request)
    return {"emails": [email_json(each) for each in found]}


ENDPOINTS = [
    Endpoint(
        path="/confirm-email",
        summary="Confirm an address with the key of an e-mail.",
        run=confirm,
        page="/confirm-email",
        fields=(fields.KEY, fields.LINK, PASSWORD),
        result="Confirmation",
        refusals=(
            "invalid_key",
            "invalid_credentials",
            "login_required",
            "email_taken",
            "weak_password",
            "unavailable",
        ),
    ),
    Endpoint(
        path="/confirm-email/send",
        summary="Send the confirmation again: for the pending login, or for an address of the account.",
        run=send,
        page="/confirm-email",
        fields=(replace(fields.ADDRESS, required=False),),
        result="Sent",
        refusals=(
            "login_required",
            "email_not_found",
            "delivery_failed",
            "invalid_email",
        ),
    ),
    Endpoint(
        path="/confirm-email/change",
        summary="Replace the unconfirmed address of the pending login, such as a mistyped one.",
        run=change_pending,
        page="/confirm-email",
        fields=(fields.EMAIL,),
        result="Login",
        refusals=(
            "login_required",
            "delivery_failed",
            "invalid_email",
        ),
    ),
    Endpoint(
        path="/emails/add",
        summary="Add an address, and send its confirmation.",
        run=add,
        page="/emails",
        fields=(fields.EMAIL,),
        result="EmailAddress",
        refusals=(
            "reauthentication_required",
            "email_already_added",
            "too_many_emails",
            "delivery_failed",
            "invalid_email",
        ),
        login=True,
    ),
    Endpoint(
        path="/emails/remove",
        summary="Remove an address that is not the primary one.",
        run=remove,
        page="/emails",
        fields=(fields.ADDRESS,),
        refusals=(
            "reauthentication_required",
            "email_not_found",
            "primary_email_required",
            "invalid_email",
        ),
        login=True,
    ),
    Endpoint(
        path="/emails/primary",
        summary="Make an address the primary one.",
        run=make_primary,
        page="/emails",
        fields=(fields.ADDRESS,),
        result="EmailAddress",
        refusals=(
            "reauthentication_required",
            "email_not_found",
            "email_not_verified",
            "invalid_email",
        ),
        login=True,
    ),
]
READERS = [
    Reader(
        path="/emails",
        summary="List the addresses of the account.",
        run=list_all,
        result="EmailAddresses",
        login=True,
    )
]
