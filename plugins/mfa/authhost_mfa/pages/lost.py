"""The pages for somebody who has lost all factors: codes by e-mail, within a login."""

from __future__ import annotations

from authhost_hookspecs import Form, Link, Page, Request, Values

from authhost_mfa import fields, mailbox_codes, steps
from authhost_mfa.languages import language_of
from authhost_mfa.pages.links import to_overview

LOST_PATH, LOST_CODES_PATH = "/lost", "/lost/codes"


def show_lost(request: Request) -> Page:
    """Offer to send the codes."""
    mailbox_codes.require_setting(request)
    gettext = language_of(request).gettext
    text = (
        gettext(
            "If your account has two confirmed e-mail addresses, we send a code to each of them. "
            "With both codes you can log in."
        ),
        gettext("Otherwise ask the operator of this site for help."),
    )
    forms = (Form(LOST_PATH, gettext("Send the codes")),)
    links = (Link(gettext("Use another method"), steps.VERIFY_PATH),)
    return Page("mfa_lost", gettext("All methods lost"), text, forms, links=links)


def send(request: Request, values: Values) -> Page:
    """Send the codes, and ask for them."""
    steps.send_mailbox_codes(request)
    return show_codes(request)


def show_codes(request: Request) -> Page:
    """Ask for both codes."""
    mailbox_codes.require_setting(request)
    gettext = language_of(request).gettext
    minutes = int(mailbox_codes.LIFETIME.total_seconds() // 60)
    text = gettext(
        "If your account has two confirmed e-mail addresses, a code was sent to each of them. "
        "Enter both within %(count)s minutes.",
        count=minutes,
    )
    codes = fields.for_form(fields.FIRST_CODE, gettext), fields.for_form(fields.SECOND_CODE, gettext)
    forms = (Form(LOST_CODES_PATH, gettext("Confirm"), codes),)
    links = (
        Link(gettext("Ask for new codes"), LOST_PATH),
        Link(gettext("Use another method"), steps.VERIFY_PATH),
    )
    return Page("mfa_lost_codes", gettext("All methods lost"), (text,), forms, links=links)


def confirm(request: Request, values: Values) -> Page | None:
    """Complete the login, and ask the person to replace what is lost."""
    steps.verify_mailbox_codes(request, values)
    if request.user is None:
        return None
    gettext = language_of(request).gettext
    text = gettext("You are logged in. Remove what you have lost, and add a new authenticator.")
    return Page("mfa_recovered", gettext("Two-step verification"), (text,), links=(to_overview(gettext),))
