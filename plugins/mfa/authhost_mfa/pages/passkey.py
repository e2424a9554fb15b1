"""The login by a passkey: a section of the login page, and a page of its own."""

from __future__ import annotations

from authhost_hookspecs import Form, Page, Request, Section

from authhost_mfa import fields, passkey_login
from authhost_mfa.languages import language_of
from authhost_mfa.policy import settings_of

PASSKEY_PATH = "/passkey"


def login_panel(request: Request) -> Section | None:
    """Offer passkeys on the login page, also in the autofill of the username."""
    if not settings_of(request).passkey_login:
        return None
    return Section(language_of(request).gettext("Log in without a password"), forms=(_form(request),))


def show_passkey(request: Request) -> Page:
    """Ask for a passkey, such as after another one was refused."""
    return Page(
        "mfa_passkey", language_of(request).gettext("Log in without a password"), forms=(_form(request),)
    )


def _form(request: Request) -> Form:
    gettext = language_of(request).gettext
    options = passkey_login.begin(request)
    credential = fields.for_form(fields.KEY, gettext, value=options, autocomplete="webauthn")
    return Form(PASSKEY_PATH, gettext("Log in with a passkey"), (credential,))
