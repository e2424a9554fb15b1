"""The page that adds an authenticator app."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Form, Image, Page, Request, Values

from authhost_mfa import enrolment, fields, totp
from authhost_mfa.access import current_user
from authhost_mfa.enrolment import Setup
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.pages.recovery_codes import new_codes_page

TOTP_PATH = "/totp"


def show_totp(request: Request) -> Page:
    """Show the QR code for the logged-in user, of whom another app is replaced."""
    gettext = language_of(request).gettext
    user = current_user(request)
    setup, former = enrolment.begin_in_session(request), enrolment.app_of(request, user)
    return setup_page("mfa_totp", setup, TOTP_PATH, gettext, former)


def add(request: Request, values: Values) -> Page | None:
    """Add the app of the logged-in user; show the recovery codes."""
    codes = enrolment.add_in_session(request, values)
    gettext = language_of(request).gettext
    request.answer.message("success", gettext("The authenticator app was added."))
    return new_codes_page(codes, gettext)


def setup_page(
    identifier: str, setup: Setup, path: str, gettext: Gettext, former: UUID | None = None
) -> Page:
    """Return the page with the QR code of a new secret. ``former`` is the app that the new one replaces."""
    groups = " ".join(setup.secret[start : start + 4] for start in range(0, len(setup.secret), 4))
    code = fields.for_form(fields.NEW_CODE, gettext)
    sealed = fields.for_form(fields.SETUP, gettext, value=setup.sealed)
    replaces = (fields.hidden(fields.REPLACES.name, str(former)),) if former else ()
    text = (
        *((gettext("The new authenticator app replaces the one that you have."),) if former else ()),
        gettext("Scan this code with an authenticator app, then enter the 6 digits that it shows."),
        gettext("If you cannot scan it, type this key into the app: %(key)s", key=groups),
    )
    return Page(
        identifier,
        gettext("Set up an authenticator app"),
        text,
        (Form(path, gettext("Confirm"), (sealed, code, *replaces)),),
        image=Image(totp.qr_code(setup.uri), gettext("QR code for the authenticator app")),
    )
