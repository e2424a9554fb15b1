"""The list of a user's authenticators, with links to the other pages, and the section of the account page."""

from __future__ import annotations

from authhost_hookspecs import Link, Page, Request, Row, Section, User, Values

from authhost_mfa import authenticators, management, trusted_browsers
from authhost_mfa.access import current_user, logins_ask, needs_recent_factor
from authhost_mfa.languages import Language, language_of
from authhost_mfa.pages.authenticator_rows import details, remove_form
from authhost_mfa.pages.keys import KEYS_PATH, describe_keys, key_rows
from authhost_mfa.pages.links import OVERVIEW_PATH, to_reauthentication
from authhost_mfa.pages.recovery_codes import CODES_PATH, codes_left
from authhost_mfa.pages.totp import TOTP_PATH
from authhost_mfa.pages.trusted_browsers import BROWSERS_PATH
from authhost_mfa.policy import grace_ends, is_selected
from authhost_mfa.values import TOTP, WEBAUTHN, Authenticator


def panel(request: Request) -> Section | None:
    """Show on the account page whether there is a second factor."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    found = authenticators.of_user(request, user.id)
    if logins_ask(request, user, found):
        text = gettext("Each login asks for a second factor.")
    elif is_selected(request, user):
        day = language.format_day(grace_ends(request, user))
        text = gettext("This site requires a second factor from %(day)s.", day=day)
    else:
        text = gettext("A second factor protects your account even if somebody knows your password.")
    links = (Link(gettext("Manage"), OVERVIEW_PATH),)
    return Section(gettext("Two-step verification"), (text,), links=links)


def show_overview(request: Request) -> Page:
    """Show all authenticators of the logged-in user."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    found = authenticators.of_user(request, user.id)
    locked = needs_recent_factor(request, user)
    apps, keys = ([each for each in found if each.kind == kind] for kind in (TOTP, WEBAUTHN))
    sections = [_apps(language, apps, locked), _keys(language, keys)]
    if any(each.second_factor for each in found):
        sections.append(_codes(request, user, language))
    if logins_ask(request, user, found):
        sections.append(_browsers(request, user, language))
    text = (gettext("Confirm with your second factor before you change anything here."),) if locked else ()
    links = (to_reauthentication(gettext),) if locked else ()
    return Page(
        "mfa_authenticators",
        gettext("Two-step verification"),
        text,
        sections=tuple(sections),
        links=links,
    )


def remove(request: Request, values: Values) -> None:
    """Remove an authenticator of the logged-in user."""
    management.remove(request, str(values["authenticator_id"]))
    request.answer.message("success", language_of(request).gettext("The authenticator was removed."))


def _apps(language: Language, apps: list[Authenticator], locked: bool) -> Section:
    gettext = language.gettext
    rows = tuple(
        Row(
            each.name or gettext("Authenticator app"),
            details(language, each),
            forms=() if locked else (remove_form(language, each),),
        )
        for each in apps
    )
    text = gettext("An app on your phone shows a code for each login.")
    label = gettext("Replace the authenticator app") if apps else gettext("Set up an authenticator app")
    links = () if locked else (Link(label, TOTP_PATH),)
    return Section(gettext("Authenticator app"), (text,), rows, links=links)


def _keys(language: Language, keys: list[Authenticator]) -> Section:
    gettext = language.gettext
    rows = key_rows(language, keys, locked=True)
    links = (Link(gettext("Manage") if keys else gettext("Add a passkey or security key"), KEYS_PATH),)
    return Section(gettext("Passkeys and security keys"), (describe_keys(gettext),), rows, links=links)


def _codes(request: Request, user: User, language: Language) -> Section:
    gettext = language.gettext
    text = codes_left(request, user, language)
    links = (Link(gettext("Manage"), CODES_PATH),)
    return Section(gettext("Recovery codes"), (text,), links=links)


def _browsers(request: Request, user: User, language: Language) -> Section:
    gettext = language.gettext
    count = len(trusted_browsers.of_user(request, user.id))
    text = gettext("Trusted browsers: %(count)s", count=count)
    links = (Link(gettext("Manage"), BROWSERS_PATH),)
    return Section(gettext("Trusted browsers"), (text,), links=links)
