"""The page on which a login enrols the second factor that the policy requires."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Page, Request, Values

from authhost_mfa import steps
from authhost_mfa.languages import language_of
from authhost_mfa.pages.keys import add_form
from authhost_mfa.pages.recovery_codes import new_codes_page
from authhost_mfa.pages.totp import setup_page


def show_enrol(request: Request) -> Page:
    """Show the QR code, and the form that adds a passkey or security key."""
    gettext = language_of(request).gettext
    page = setup_page("mfa_enrol", steps.begin_enrolment(request), steps.ENROL_PATH, gettext)
    (app,) = page.forms
    key = add_form(steps.begin_key_enrolment(request), steps.ENROL_PATH, gettext, second_factor=None)
    forms = replace(app, title=gettext("Authenticator app")), key
    return replace(page, title=gettext("Set up a second factor"), forms=forms)


def enrol(request: Request, values: Values) -> Page | None:
    """Complete the login; show the recovery codes."""
    return new_codes_page(steps.enrol(request, values), language_of(request).gettext)
