"""The signup with a passkey: a section of the signup page, and the pages for the address and the passkey."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Field, Form, Link, Page, Request, Section, Values

from authhost_mfa import fields, passkey_signup
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.pages.keys import describe_keys
from authhost_mfa.pages.recovery_codes import new_codes_page

SIGNUP_PATH = "/signup"
OPTIONS_PATH = f"{SIGNUP_PATH}/options"


def signup_panel(request: Request) -> Section | None:
    """Offer the signup with a passkey on the signup page."""
    if not passkey_signup.is_offered(request):
        return None
    gettext = language_of(request).gettext
    links = (Link(gettext("Sign up with a passkey"), SIGNUP_PATH),)
    return Section(gettext("Sign up without a password"), (describe_keys(gettext),), links=links)


def show_signup(request: Request) -> Page:
    """Ask for the address, which the passkey shows, and for the username."""
    passkey_signup.require_offered(request)
    gettext = language_of(request).gettext
    form = Form(SIGNUP_PATH, gettext("Continue"), _applicant_fields(request, gettext))
    text = (
        describe_keys(gettext),
        gettext("Passkeys and security keys need JavaScript and a browser that can use them on this site."),
    )
    return Page("mfa_signup", gettext("Sign up without a password"), text, (form,))


def sign_up(request: Request, values: Values) -> Page | None:
    """Ask for the passkey; then create the account, and show the recovery codes if there are some."""
    if not values["credential"]:
        return _show_passkey(request, values)
    codes = passkey_signup.sign_up(request, values, is_page=True)
    gettext = language_of(request).gettext
    if codes is not None and request.user is None:
        text = gettext("Your account waits for a confirmation. Open the link in the e-mail.")
        request.answer.message("info", text)
    return new_codes_page(codes, gettext)


def _show_passkey(request: Request, values: Values) -> Page:
    gettext = language_of(request).gettext
    setup = passkey_signup.begin(request, values)
    typed = tuple(fields.hidden(name, str(values[name])) for name in ("email", "username") if values[name])
    sealed = fields.hidden(fields.SETUP.name, setup.sealed)
    credential = fields.for_form(fields.NEW_KEY, gettext, value=setup.options)
    form = Form(SIGNUP_PATH, gettext("Create a passkey"), (*typed, sealed, credential))
    text = gettext("The passkey will belong to %(email)s.", email=str(values["email"]))
    return Page("mfa_signup_passkey", gettext("Sign up without a password"), (text,), (form,))


def _applicant_fields(request: Request, gettext: Gettext) -> tuple[Field, ...]:
    email = fields.for_form(fields.EMAIL, gettext)
    setting = request.settings.username_at_signup
    if setting == "no":
        return (email,)
    return email, replace(fields.for_form(fields.USERNAME, gettext), required=setting == "required")
