"""Change, set and reset the password."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Field, PageMessage, Values

from authhost.web import fields
from authhost.web.endpoint import Endpoint, Outcome
from authhost.web.endpoints.after_login import after_login
from authhost.web.languages import N_
from authhost.web.links import key_of_link
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def change(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.change_password(
        visit.request,
        current_password=str(values["current_password"]),
        new_password=str(values["new_password"]),
    )
    text = visit.gettext("Your password is changed, and your other sessions have ended.")
    return Outcome(login_state(visit), to="/", message=PageMessage("success", text, "password_changed"))


def set_first(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.set_password(visit.request, password=str(values["password"]))
    text = visit.gettext("Your password is set.")
    return Outcome(login_state(visit), to="/", message=PageMessage("success", text, "password_set"))


def request_reset(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.request_password_reset(visit.request, email=str(values["email"]))
    text = visit.gettext("An e-mail with a link is on its way. Look for it, also in the spam folder.")
    return Outcome(to="/forgot-password", message=PageMessage("success", text, "reset_requested"))


def reset(visit: Visit, values: Values) -> Outcome:
    password = str(values["password"])
    with key_of_link(visit, visit.web.cookies.reset_key, values) as key:
        result = visit.web.host.account.reset_password(visit.request, key=key, password=password)
    message = PageMessage("success", visit.gettext("Your new password is set."), "password_reset")
    if result is None:
        return Outcome(login_state(visit), to="/login", message=message)
    return replace(after_login(visit, result.steps), message=message)


ENDPOINTS = [
    Endpoint(
        path="/password/change",
        summary="Change the password. All other sessions end.",
        run=change,
        page="/password",
        fields=(
            Field("current_password", N_("Current password"), "password", max_length=fields.PASSWORD_LENGTH),
            Field("new_password", N_("New password"), "new_password", max_length=fields.PASSWORD_LENGTH),
        ),
        result="Login",
        refusals=(
            "invalid_credentials",
            "password_reset_required",
            "weak_password",
            "unavailable",
        ),
        login=True,
    ),
    Endpoint(
        path="/password/set",
        summary="Set the first password of an account that has none.",
        run=set_first,
        page="/password",
        fields=(fields.NEW_PASSWORD,),
        result="Login",
        refusals=(
            "reauthentication_required",
            "password_already_set",
            "weak_password",
            "unavailable",
        ),
        login=True,
    ),
    Endpoint(
        path="/forgot-password",
        summary="Send the link of a password reset. The result is the same for an unknown address.",
        run=request_reset,
        page="/forgot-password",
        fields=(fields.EMAIL,),
        refusals=(
            "delivery_failed",
            "invalid_email",
        ),
    ),
    Endpoint(
        path="/reset-password",
        summary="Set a new password with the key of an e-mail. All sessions end.",
        run=reset,
        page="/reset-password",
        fields=(fields.KEY, fields.LINK, fields.NEW_PASSWORD),
        result="Login",
        refusals=(
            "invalid_key",
            "weak_password",
            "unavailable",
        ),
    ),
]
