"""The section of an administrator's page of a user: the factors."""

from __future__ import annotations

from authhost_hookspecs import AdminPanel, Request, Row, Section, User

from authhost_mfa import authenticators, recovery_codes, trusted_browsers
from authhost_mfa.languages import Language, language_of
from authhost_mfa.pages.authenticator_rows import details
from authhost_mfa.values import TOTP, Authenticator


def show(request: Request, user: User) -> Section | None:
    """Show the authenticators of a user; the form that removes all of them is the host's."""
    language = language_of(request)
    gettext, title = language.gettext, language.gettext("Two-step verification")
    found = authenticators.of_user(request, user.id)
    if not found:
        return Section(title, (gettext("The user has no second factor."),))
    text = [
        gettext("Recovery codes left: %(count)s", count=recovery_codes.count(request, user.id)),
        gettext("Trusted browsers: %(count)s", count=len(trusted_browsers.of_user(request, user.id))),
    ]
    return Section(title, tuple(text), tuple(_row(language, each) for each in found))


def _row(language: Language, each: Authenticator) -> Row:
    gettext = language.gettext
    kind = gettext("Authenticator app") if each.kind == TOTP else gettext("Passkey or security key")
    labels = (gettext("Asked for at every login"),) if each.second_factor else ()
    about = (kind,) if each.name else ()
    return Row(each.name or kind, (*about, *details(language, each)), labels)


PANEL = AdminPanel(show)
