"""The page that adds an authenticator app."""

from __future__ import annotations

from authhost_hookspecs import Form, Image, Page, Request, Values

from authhost_mfa import enrolment, fields, totp
from authhost_mfa.access import current_user
from authhost_mfa.enrolment import Setup
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.pages.links import to_overview
from authhost_mfa.pages.recovery_codes import new_codes_page

TOTP_PATH = "/totp"


def show_totp(request: Request) -> Page:
    """Show the QR code for the logged-in user."""
    gettext = language_of(request).gettext
    user = current_user(request)
    if enrolment.has_app(request, user):
        text = gettext("You have an authenticator app. Remove it before you set up another one.")
        return Page("mfa_totp", gettext("Authenticator app"), (text,), links=(to_overview(gettext),))
    return setup_page("mfa_totp", enrolment.begin_in_session(request), TOTP_PATH, gettext)


def add(request: Request, values: Values) -> Page | None:
    """Add the app of the logged-in user; show the recovery codes."""
    codes = enrolment.add_in_session(request, values)
    gettext = language_of(request).gettext
    request.answer.message("success", gettext("The authenticator app was added."))
    return new_codes_page(codes, gettext)


def setup_page(identifier: str, setup: Setup, path: str, gettext: Gettext) -> Page:
    """Return the page with the QR code of a new secret."""
    groups = " ".join(setup.secret[start : start + 4] for start in range(0, len(setup.secret), 4))
    code = fields.for_form(fields.NEW_CODE, gettext)
    sealed = fields.for_form(fields.SETUP, gettext, value=setup.sealed)
    text = (
        gettext("Scan this code with an authenticator app, then enter the 6 digits that it shows."),
        gettext("If you cannot scan it, type this key into the app: %(key)s", key=groups),
    )
    return Page(
        identifier,
        gettext("Set up an authenticator app"),
        text,
        (Form(path, gettext("Confirm"), (sealed, code)),),
        image=Image(totp.qr_code(setup.uri), gettext("QR code for the authenticator app")),
    )
