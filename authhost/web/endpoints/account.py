"""Signup, login, logout, reauthentication, and closing the account."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import PageMessage, Values

from authhost.settings import Settings
from authhost.web import fields
from authhost.web.endpoint import Endpoint, Outcome
from authhost.web.endpoints.after_login import after_login
from authhost.web.endpoints.impersonation import leave
from authhost.web.languages import N_
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def endpoints(settings: Settings) -> list[Endpoint]:
    """Return the endpoints. The settings decide whether a signup has a username."""
    password = replace(fields.NEW_PASSWORD, label=N_("Password"))
    signup_fields = (fields.EMAIL, *fields.username(settings), password, fields.NEXT)
    given = fields.given(settings)
    return [
        Endpoint(
            path="/signup",
            summary="Create an account.",
            run=sign_up,
            page="/signup",
            fields=(*signup_fields, *given),
            result="Login",
            refusals=(
                "signup_closed",
                "email_taken",
                "username_taken",
                "weak_password",
                "delivery_failed",
                "invalid_email",
                "unavailable",
            ),
        ),
        Endpoint(
            path="/login",
            summary="Log in with an e-mail address or username, and the password.",
            run=log_in,
            page="/login",
            fields=(fields.IDENTIFIER, fields.PASSWORD, fields.NEXT, *given),
            result="Login",
            refusals=(
                "invalid_credentials",
                "password_reset_required",
                "weak_password",
                "unavailable",
            ),
        ),
        Endpoint(
            path="/login/cancel",
            summary="End the pending login of this client, to start over. Who is logged in stays so.",
            run=cancel_login,
            page="/login",
            result="Login",
        ),
        Endpoint(path="/logout", summary="Log out.", run=log_out, page="/logout"),
        Endpoint(
            path="/reauthenticate",
            summary="Confirm the password, for changes that require a recent login.",
            run=reauthenticate,
            page="/reauthenticate",
            fields=(fields.PASSWORD, fields.NEXT),
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
            path="/close",
            summary="Close the account: it is deactivated, and all sessions end.",
            run=close,
            page="/close",
            refusals=("reauthentication_required",),
            login=True,
        ),
    ]


def sign_up(visit: Visit, values: Values) -> Outcome:
    username = str(values.get("username") or "") or None
    result = visit.web.host.account.signup(
        visit.request, email=str(values["email"]), password=str(values["password"]), username=username
    )
    return after_login(visit, result.steps)


def log_in(visit: Visit, values: Values) -> Outcome:
    result = visit.web.host.account.login(
        visit.request, identifier=str(values["identifier"]), password=str(values["password"])
    )
    return after_login(visit, result.steps)


def cancel_login(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.cancel_login(visit.request)
    text = visit.gettext("The login was ended. You can log in again.")
    message = PageMessage("success", text, "login_cancelled")
    to = "/" if visit.request.user is not None else "/login"
    return Outcome(login_state(visit), to=to, message=message)


def log_out(visit: Visit, values: Values) -> Outcome:
    leave(visit)
    visit.web.host.account.logout(visit.request)
    message = PageMessage("success", visit.gettext("You are logged out."), "logged_out")
    return Outcome(to="/login", location=visit.web.host.settings.after_logout, message=message)


def reauthenticate(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.reauthenticate(visit.request, password=str(values["password"]))
    return Outcome(login_state(visit), location=visit.next)


def close(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.deactivate(visit.request)
    message = PageMessage("success", visit.gettext("Your account is closed."), "account_closed")
    return Outcome(to="/login", message=message)
