"""A user's authenticators, recovery codes and trusted browsers, and the section of the account page."""

from __future__ import annotations

from authhost_hookspecs import Form, Link, Page, Request, Row, Section, User, Values

from authhost_mfa import authenticators, fields, management, recovery_codes, trusted_browsers
from authhost_mfa.access import REAUTHENTICATE_PATH, current_user, needs_recent_factor
from authhost_mfa.languages import Language, language_of
from authhost_mfa.pages.authenticator_rows import details, remove_form
from authhost_mfa.pages.keys import KEYS_PATH, describe_keys, key_rows
from authhost_mfa.pages.totp import OVERVIEW_PATH, TOTP_PATH, codes_page, to_overview
from authhost_mfa.policy import grace_ends, is_selected
from authhost_mfa.values import TOTP, WEBAUTHN, Authenticator

CODES_PATH, BROWSERS_PATH = "/recovery-codes", "/trusted-browsers"


def panel(request: Request) -> Section | None:
    """Show on the account page whether there is a second factor."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    found = authenticators.of_user(request, user.id)
    if any(each.second_factor for each in found):
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
        sections += [_codes(request, user, language), _browsers(request, user, language)]
    text = (gettext("Confirm with your second factor before you change anything here."),) if locked else ()
    links = (Link(gettext("Confirm that it is you"), REAUTHENTICATE_PATH),) if locked else ()
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


def show_codes(request: Request) -> Page:
    """Show how many recovery codes are left, and offer new ones."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    forms = (Form(CODES_PATH, gettext("Create new codes"), danger=True),)
    text = (
        _codes_left(request, user, language),
        gettext("New codes replace the old ones."),
    )
    return Page("mfa_recovery_codes", gettext("Recovery codes"), text, forms, links=(to_overview(gettext),))


def replace_codes(request: Request, values: Values) -> Page | None:
    """Create new recovery codes, and show them once."""
    return codes_page(management.replace_recovery_codes(request), language_of(request).gettext)


def show_browsers(request: Request) -> Page:
    """Show the browsers in which a login needs no second factor."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    rows = tuple(
        Row(
            each.user_agent or gettext("Unknown browser"),
            (
                gettext("Trusted until %(time)s", time=language.format_time(each.expires_at)),
                gettext("Since %(time)s", time=language.format_time(each.created_at)),
            ),
            (gettext("This browser"),) if each.is_this else (),
            (
                Form(
                    BROWSERS_PATH,
                    gettext("Remove"),
                    (fields.for_form(fields.BROWSER_ID, gettext, value=str(each.id)),),
                    danger=True,
                ),
            ),
        )
        for each in trusted_browsers.of_user(request, user.id)
    )
    text = gettext("In these browsers a login asks for no second factor.")
    remove_all = Form(BROWSERS_PATH, gettext("Remove all"), danger=True)
    title = gettext("Trusted browsers")
    return Page(
        "mfa_trusted_browsers",
        title,
        sections=(Section(title, (text,), rows, (remove_all,) if rows else ()),),
        links=(to_overview(gettext),),
    )


def revoke_browser(request: Request, values: Values) -> None:
    """End the trust in one browser, or in all of them."""
    management.revoke_browsers(request, str(values["browser_id"]))


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
    links = () if apps or locked else (Link(gettext("Set up an authenticator app"), TOTP_PATH),)
    return Section(gettext("Authenticator app"), (text,), rows, links=links)


def _keys(language: Language, keys: list[Authenticator]) -> Section:
    gettext = language.gettext
    rows = key_rows(language, keys, locked=True)
    links = (Link(gettext("Manage") if keys else gettext("Add a passkey or security key"), KEYS_PATH),)
    return Section(gettext("Passkeys and security keys"), (describe_keys(gettext),), rows, links=links)


def _codes(request: Request, user: User, language: Language) -> Section:
    gettext = language.gettext
    text = _codes_left(request, user, language)
    links = (Link(gettext("Manage"), CODES_PATH),)
    return Section(gettext("Recovery codes"), (text,), links=links)


def _codes_left(request: Request, user: User, language: Language) -> str:
    count = recovery_codes.count(request, user.id)
    return language.gettext("Recovery codes left: %(count)s", count=count)


def _browsers(request: Request, user: User, language: Language) -> Section:
    gettext = language.gettext
    count = len(trusted_browsers.of_user(request, user.id))
    text = gettext("Trusted browsers: %(count)s", count=count)
    links = (Link(gettext("Manage"), BROWSERS_PATH),)
    return Section(gettext("Trusted browsers"), (text,), links=links)
