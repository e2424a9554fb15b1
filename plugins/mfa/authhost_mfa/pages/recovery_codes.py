"""The page of the recovery codes, and the one that shows new codes."""

from __future__ import annotations

from authhost_hookspecs import Form, Page, Request, User, Values

from authhost_mfa import management, recovery_codes
from authhost_mfa.access import current_user
from authhost_mfa.languages import Gettext, Language, language_of
from authhost_mfa.pages.links import to_overview
from authhost_mfa.recovery_codes import CodeSet

CODES_PATH = "/recovery-codes"


def show_codes(request: Request) -> Page:
    """Show how many recovery codes are left, and offer new ones."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    forms = (Form(CODES_PATH, gettext("Create new codes"), danger=True),)
    text = (codes_left(request, user, language), gettext("New codes replace the old ones."))
    return Page("mfa_recovery_codes", gettext("Recovery codes"), text, forms, links=(to_overview(gettext),))


def replace_codes(request: Request, values: Values) -> Page | None:
    """Create new recovery codes, and show them once."""
    return new_codes_page(management.replace_recovery_codes(request), language_of(request).gettext)


def new_codes_page(codes: CodeSet | None, gettext: Gettext) -> Page | None:
    """Return the page that shows new recovery codes, once; None if there are none."""
    if codes is None:
        return None
    text = (
        gettext("With each of these codes you can log in once without your other authenticators."),
        gettext("Write them down or print them now. They are not shown again."),
        *codes.codes,
    )
    return Page("mfa_new_recovery_codes", gettext("Recovery codes"), text, links=(to_overview(gettext),))


def codes_left(request: Request, user: User, language: Language) -> str:
    """Return how many recovery codes of a user are left, as a text."""
    count = recovery_codes.count(request, user.id)
    return language.gettext("Recovery codes left: %(count)s", count=count)
