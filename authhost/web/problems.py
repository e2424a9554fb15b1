"""Refusals as HTTP: the status, the translated text, and the problem document of RFC 9457."""

from __future__ import annotations

from math import ceil
from typing import Any

from authhost_hookspecs import FlowError

from authhost import errors
from authhost.errors import AuthError
from authhost.web.http import WebResponse
from authhost.web.languages import N_, Gettext

PROBLEM_TYPE = "application/problem+json"
STATUS = {
    "account_inactive": 403,
    "already_logged_in": 409,
    "busy": 503,
    "conflict": 409,
    "cross_site": 403,
    "delivery_failed": 503,
    "email_already_added": 409,
    "email_not_found": 404,
    "email_not_verified": 409,
    "email_taken": 409,
    "export_failed": 500,
    "factors_not_removed": 409,
    "impersonated": 403,
    "impersonation_refused": 403,
    "internal_error": 500,
    "invalid_credentials": 401,
    "last_login_method": 409,
    "login_required": 401,
    "login_unavailable": 503,
    "method_not_allowed": 405,
    "not_found": 404,
    "own_account": 409,
    "password_already_set": 409,
    "password_reset_required": 403,
    "primary_email_required": 409,
    "provider_failed": 502,
    "provider_not_found": 404,
    "rate_limited": 429,
    "reauthentication_required": 401,
    "session_not_found": 404,
    "signup_closed": 403,
    "social_account_not_found": 404,
    "social_account_taken": 409,
    "too_large": 413,
    "too_many_emails": 409,
    "two_credentials": 400,
    "unavailable": 503,
    "unsupported_media_type": 415,
    "user_not_found": 404,
    "username_taken": 409,
    "vetoed": 403,
}
"""The HTTP status by code; 400 for the others."""
PUBLIC_FIELDS = ("field", "reason", "retry_after", "max_age", "limit", "plugin_code")
"""The fields of an error that a response shows."""
TEXTS = {
    "account_inactive": N_("This account is closed."),
    "already_logged_in": N_("You are logged in already."),
    "busy": N_("The site is busy. Please try again in a moment."),
    "conflict": N_("This was changed in the meantime. Please try again."),
    "cross_site": N_("This request came from another site. Open the page here, and try again."),
    "delivery_failed": N_("The e-mail could not be sent. Please try again later."),
    "email_already_added": N_("Your account has this address already."),
    "email_not_found": N_("Your account has no such address."),
    "email_not_verified": N_("Please confirm this address first."),
    "email_taken": N_("This address is in use by another account."),
    "export_failed": N_("The data of this account could not be collected."),
    "factors_not_removed": N_("The second factors of this account could not be removed."),
    "impersonated": N_("This is not possible while you work in the account of somebody else."),
    "impersonation_refused": N_("You cannot work in this account."),
    "internal_error": N_("Something went wrong here. Please try again later."),
    "invalid_credentials": N_("The name or the password is not right."),
    "invalid_email": N_("This is not a valid e-mail address."),
    "invalid_id_token": N_("The provider's answer cannot be trusted."),
    "invalid_input": N_("This value is not valid."),
    "invalid_key": N_("This link is not valid any more. Please ask for a new one."),
    "invalid_state": N_("This login was started in another browser, or took too long. Please start again."),
    "last_login_method": N_("This is your only way to log in. Set a password first."),
    "login_required": N_("Please log in first."),
    "login_unavailable": N_(
        "Nobody can log in to this account at the moment. Please write to the operator of this site."
    ),
    "method_not_allowed": N_("This address does not accept this kind of request."),
    "not_found": N_("There is no such page."),
    "own_account": N_("Administrators cannot do this to their own account."),
    "password_already_set": N_("Your account has a password. Change it instead."),
    "password_reset_required": N_("Please choose a new password: ask for a link to reset it."),
    "primary_email_required": N_("The primary address cannot be removed. Make another one primary first."),
    "provider_denied": N_("The login was cancelled."),
    "provider_failed": N_("The login provider does not respond correctly. Please try again later."),
    "provider_not_found": N_("There is no such login provider."),
    "rate_limited": N_("Too many attempts. Please wait a while."),
    "reauthentication_required": N_("Please confirm your password, or log in again, first."),
    "session_not_found": N_("There is no such session."),
    "signup_closed": N_("Signup is closed."),
    "social_account_not_found": N_("There is no such connection."),
    "social_account_taken": N_("This account at the provider is connected to another account here."),
    "too_large": N_("This request is too large."),
    "too_many_emails": N_("Your account cannot have more addresses."),
    "two_credentials": N_("A request has either a cookie or a token, not both."),
    "unavailable": N_("The password cannot be checked at the moment. Please try again later."),
    "unsupported_media_type": N_("This kind of content is not accepted here."),
    "user_not_found": N_("There is no such account."),
    "username_taken": N_("This username is taken."),
    "weak_password": N_("This password is too easy to guess."),
}
"""The texts by code, for translation. A refusal with another code, such as a plugin's, keeps its own."""
VETOED_WITHOUT_TEXT = N_("This was refused.")
"""The text of a plugin that has failed instead of giving a reason. It is that of `authhost.errors.Vetoed`."""
REASONS = {
    ("conflict", "in_use"): N_(
        "A table of the application or of a plugin refers to this account. Delete those rows first."
    ),
    ("impersonation_refused", "administrator"): N_("Nobody can work in the account of an administrator."),
    ("impersonation_refused", "own_account"): N_("This is your own account."),
    ("weak_password", "too_common"): N_("This password is too common, or too easy to guess."),
    ("weak_password", "too_short"): N_("The password must have at least %(count)s characters."),
    ("weak_password", "too_long"): N_("The password is too long."),
}
FIELD_TEXTS = {
    ("invalid_credentials", "password"): N_("The password is not right."),
    ("invalid_credentials", "current_password"): N_("The current password is not right."),
    ("invalid_input", "confirm"): N_("Type the address, the username or the identifier of the account."),
    ("invalid_input", "until"): N_("This must be a day in the future."),
    ("invalid_input", "username"): N_("A username may have letters, digits, and the characters . _ - only."),
}


class WebError(AuthError):
    """A request that the web layer refuses before any flow; ``code`` says why."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(TEXTS[code], **fields)
        self.code = code  # type: ignore[misc]  # one class for all


class AlreadyLoggedIn(WebError):
    """A page or endpoint is for somebody who logs in, and this client has done so."""

    def __init__(self) -> None:
        super().__init__("already_logged_in")


def status_of(error: FlowError) -> int:
    """Return the HTTP status of a refusal."""
    return STATUS.get(error.code, 400)


def problem_types(gettext: Gettext) -> dict[str, dict[str, Any]]:
    """Return the status and the text of each code. The ``type`` of a problem document leads there.

    A plugin's refusal has the code ``vetoed``, and its own code in ``plugin_code``.
    """
    messages = {
        each.code: each.message
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, AuthError)
    }
    return {
        code: {"status": STATUS.get(code, 400), "title": gettext(TEXTS.get(code) or messages[code])}
        for code in sorted({*TEXTS, *STATUS})
    }


def text_of(error: FlowError, gettext: Gettext, *, min_length: int = 0) -> str:
    """Return the text of a refusal for people, translated where there is a translation."""
    field, reason = error.fields.get("field"), error.fields.get("reason")
    for text in (
        REASONS.get((error.code, str(reason))),
        FIELD_TEXTS.get((error.code, str(field))),
        TEXTS.get(error.code),
    ):
        if text is not None:
            return gettext(text, count=min_length) if "%(" in text else gettext(text)
    return gettext(VETOED_WITHOUT_TEXT) if str(error) == VETOED_WITHOUT_TEXT else str(error)


def problem(error: FlowError, text: str, documentation: str, steps: list[dict[str, Any]]) -> WebResponse:
    """Return a problem document (RFC 9457) with authhost's code and fields.

    A response 401 lists the next ``steps`` that the client can take (RFC 9110, 15.5.2), and so does
    the refusal of a plugin that names one.
    """
    status = status_of(error)
    body: dict[str, Any] = {
        "type": f"{documentation}#{error.code}",
        "title": text,
        "status": status,
        "code": error.code,
        **{name: error.fields[name] for name in PUBLIC_FIELDS if name in error.fields},
    }
    if status == 401 or steps:
        body["next"] = steps
    response = WebResponse.json(body, status, content_type=PROBLEM_TYPE)
    add_error_headers(response, error)
    return response


def add_error_headers(response: WebResponse, error: FlowError) -> WebResponse:
    """Add ``WWW-Authenticate`` and ``Retry-After`` where the status requires or allows them."""
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    wait = error.fields.get("retry_after")
    if isinstance(wait, int | float):
        response.headers["Retry-After"] = str(max(1, ceil(wait)))
    return response
