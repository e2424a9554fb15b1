"""Login with a provider, and the connections of an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from authhost_hookspecs import Field, PageMessage, Values

from authhost.errors import InvalidInput
from authhost.records import SocialResult
from authhost.settings import Settings
from authhost.socialaccount import cookie_name
from authhost.web import fields
from authhost.web.endpoint import Endpoint, Outcome, Reader
from authhost.web.endpoints.after_login import after_login
from authhost.web.inputs import uuid_of
from authhost.web.schemas import connection_json, login_state
from authhost.web.visit import Visit

PROCESSES = ("login", "connect")
BEGIN = (
    Field("provider", type="hidden", max_length=64),
    Field("process", type="hidden", required=False, max_length=16),
    fields.NEXT,
)
COMPLETE = (
    Field("provider", type="hidden", max_length=64),
    Field("query", type="hidden", max_length=10_000),
    Field("state_token", type="hidden", required=False, max_length=1024),
)


def endpoints(settings: Settings) -> list[Endpoint]:
    """Return the endpoints. The settings decide whether the signup form has a username.

    With ``social_auto_signup`` the form is shown only because the provider returned no usable
    address, so that one is required.
    """
    signup_fields = (
        replace(fields.EMAIL, required=settings.social_auto_signup),
        *fields.username(settings),
        Field("signup_token", type="hidden", required=False, max_length=1024),
    )
    given = fields.given(settings)
    return [
        Endpoint(
            path="/social/begin",
            summary="Begin a login with a provider: returns the URL to open. `process` is login or connect.",
            run=begin,
            page="/login",
            fields=(*BEGIN, *given),
            result="SocialRedirect",
            refusals=("provider_not_found", "provider_failed", "login_required", "reauthentication_required"),
        ),
        Endpoint(
            path="/social/complete",
            summary="Complete a login with a provider, for apps that receive the callback themselves.",
            run=complete,
            page="/login",
            fields=COMPLETE,
            result="Social",
            refusals=(
                "provider_not_found",
                "invalid_state",
                "provider_denied",
                "provider_failed",
                "invalid_id_token",
                "social_account_taken",
                "account_inactive",
                "signup_closed",
                "login_required",
                "delivery_failed",
            ),
        ),
        Endpoint(
            path="/social/signup",
            summary="Create the account after a provider has returned a person without usable address.",
            run=sign_up,
            page="/social/signup",
            fields=(*signup_fields, *given),
            result="Social",
            refusals=(
                "signup_closed",
                "invalid_state",
                "username_taken",
                "email_taken",
                "delivery_failed",
                "invalid_email",
            ),
        ),
        Endpoint(
            path="/connections/disconnect",
            summary="Disconnect an account at a provider.",
            run=disconnect,
            page="/connections",
            fields=(fields.ID,),
            refusals=("reauthentication_required", "social_account_not_found", "last_login_method"),
            login=True,
        ),
    ]


def begin(visit: Visit, values: Values) -> Outcome:
    process = str(values["process"]) or "login"
    if process not in PROCESSES:
        raise InvalidInput("process must be login or connect.", field="process")
    redirect = visit.web.host.socialaccount.begin(
        visit.request, str(values["provider"]), process=process, next=str(values["next"]) or None
    )
    body = {"url": redirect.url}
    if visit.credential == "cookie":
        lasts = visit.web.host.settings.social_step_timeout
        visit.set_cookie(visit.web.cookies.name(redirect.cookie_name), redirect.state_token, lasts)
    else:
        body["state_token"] = redirect.state_token
    return Outcome(body, provider_url=redirect.url)


def complete(visit: Visit, values: Values) -> Outcome:
    """Complete with the query of a callback. A browser has the state token in a cookie."""
    try:
        params = dict(parse_qsl(str(values["query"]), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise InvalidInput("query must be the query of the callback.", field="query") from None
    return complete_callback(visit, str(values["provider"]), params, str(values["state_token"]))


def complete_callback(
    visit: Visit, provider: str, params: Mapping[str, str], state_token: str = ""
) -> Outcome:
    """Process a callback: of a browser, or with the ``state_token`` of a client without cookies."""
    token = state_token or visit.take_cookie(visit.web.cookies.name(cookie_name(params)))
    result = visit.web.host.socialaccount.complete(visit.request, provider, params=params, state_token=token)
    return _outcome(visit, result)


def _outcome(visit: Visit, result: SocialResult) -> Outcome:
    state = login_state(visit, result.login.steps if result.login is not None else ())
    body: dict[str, Any] = {"process": result.process, "missing": list(result.missing), **state}
    if result.stopped:
        target = result.response if isinstance(result.response, str) else ""
        return Outcome(body, location=visit.site_path(target))
    if result.signup_token is not None:
        if visit.credential == "cookie":
            lasts = visit.web.host.settings.social_step_timeout
            visit.set_cookie(visit.web.cookies.social_signup, result.signup_token, lasts)
        else:
            body["signup_token"] = result.signup_token
        return Outcome(body, status=202, to="/social/signup")
    if result.login is not None:
        return replace(after_login(visit, result.login.steps, result.next or ""), body=body)
    text = visit.gettext(
        "The account at %(provider)s is connected.", provider=visit.provider_name(result.account.provider)
    )
    message = PageMessage("success", text, "connected") if result.process == "connect" else None
    return Outcome(body, to="/connections", location=result.next or "", message=message)


def sign_up(visit: Visit, values: Values) -> Outcome:
    cookie = visit.web.cookies.social_signup
    token = str(values["signup_token"]) or visit.cookie(cookie)
    result = visit.web.host.socialaccount.signup(
        visit.request,
        signup_token=token,
        email=str(values["email"]) or None,
        username=str(values.get("username") or "") or None,
    )
    visit.take_cookie(cookie)
    return _outcome(visit, result)


def disconnect(visit: Visit, values: Values) -> Outcome:
    account = visit.web.host.socialaccount.disconnect(visit.request, account_id=uuid_of(values))
    name = visit.provider_name(account.provider)
    text = visit.gettext("The account at %(provider)s is disconnected.", provider=name)
    return Outcome(to="/connections", message=PageMessage("success", text, "disconnected"))


def list_all(visit: Visit) -> Mapping[str, Any]:
    found = visit.web.host.socialaccount.list_accounts(visit.request)
    return {"connections": [connection_json(each) for each in found]}


READERS = [
    Reader(
        path="/connections",
        summary="List the connected accounts at providers.",
        run=list_all,
        result="Connections",
        login=True,
    )
]
