"""The page of passkeys and security keys: add, rename, remove, and whether each login asks for one."""

from __future__ import annotations

from authhost_hookspecs import Form, Page, Request, Row, Section, Values

from authhost_mfa import authenticators, fields, key_enrolment, management
from authhost_mfa.access import current_user, needs_recent_factor
from authhost_mfa.languages import Gettext, Language, language_of
from authhost_mfa.pages.authenticator_rows import details, remove_form
from authhost_mfa.pages.links import to_overview, to_reauthentication
from authhost_mfa.pages.recovery_codes import new_codes_page
from authhost_mfa.policy import is_selected
from authhost_mfa.values import WEBAUTHN, Authenticator

KEYS_PATH = "/keys"
RENAME_PATH, SECOND_FACTOR_PATH = f"{KEYS_PATH}/rename", f"{KEYS_PATH}/second-factor"


def show_keys(request: Request) -> Page:
    """Show the keys of the logged-in user, and the form that adds one."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    title, links = gettext("Passkeys and security keys"), (to_overview(gettext),)
    found = [each for each in authenticators.of_user(request, user.id) if each.kind == WEBAUTHN]
    if needs_recent_factor(request, user):
        text = (gettext("Confirm with your second factor before you change anything here."),)
        sections = (Section(gettext("Your keys"), rows=key_rows(language, found, locked=True)),)
        return Page(
            "mfa_keys",
            title,
            text,
            sections=sections if found else (),
            links=(to_reauthentication(gettext), *links),
        )
    selected = is_selected(request, user)
    form = add_form(key_enrolment.begin_in_session(request), KEYS_PATH, gettext, second_factor=selected)
    sections = (Section(gettext("Your keys"), rows=key_rows(language, found, locked=False)),)
    return Page("mfa_keys", title, (describe_keys(gettext),), (form,), sections if found else (), links)


def add(request: Request, values: Values) -> Page | None:
    """Add a key of the logged-in user; show the recovery codes if there were none."""
    codes = key_enrolment.add_in_session(request, values)
    gettext = language_of(request).gettext
    request.answer.message("success", gettext("The passkey or security key was added."))
    return new_codes_page(codes, gettext)


def rename(request: Request, values: Values) -> None:
    """Rename a key."""
    management.rename(request, str(values["authenticator_id"]), str(values["name"]))


def set_second_factor(request: Request, values: Values) -> Page | None:
    """Make a key a second factor, or no longer one; show the recovery codes if there were none."""
    identifier, wanted = str(values["authenticator_id"]), bool(values["second_factor"])
    codes = management.set_second_factor(request, identifier, second_factor=wanted)
    return new_codes_page(codes, language_of(request).gettext)


def describe_keys(gettext: Gettext) -> str:
    """Return what a passkey is."""
    return gettext("Log in with the screen lock of your phone or computer, or with a key that you plug in.")


def add_form(options: str, path: str, gettext: Gettext, *, second_factor: bool | None) -> Form:
    """Return the form that adds a key. ``second_factor`` is the default of the checkbox; None shows none."""
    name = fields.for_form(fields.KEY_NAME, gettext, required=False)
    checkbox = fields.for_form(
        fields.SECOND_FACTOR, gettext, required=False, value="on" if second_factor else ""
    )
    credential = fields.for_form(fields.NEW_KEY, gettext, value=options)
    return Form(
        path,
        gettext("Add a passkey or security key"),
        (name, *([checkbox] if second_factor is not None else []), credential),
        title=gettext("Passkey or security key"),
    )


def key_rows(language: Language, keys: list[Authenticator], *, locked: bool) -> tuple[Row, ...]:
    """Return a row for each key; without buttons if they are ``locked``."""
    gettext = language.gettext
    return tuple(
        Row(
            each.name or gettext("Passkey or security key"),
            details(language, each),
            (gettext("Asked at every login"),) if each.second_factor else (),
            () if locked else _forms(language, each),
        )
        for each in keys
    )


def _forms(language: Language, key: Authenticator) -> tuple[Form, ...]:
    gettext = language.gettext
    identifier = fields.for_form(fields.AUTHENTICATOR_ID, gettext, value=str(key.id))
    name = fields.for_form(fields.KEY_NAME, gettext, value=key.name, hint="", required=False)
    wanted = fields.hidden(fields.SECOND_FACTOR.name, "" if key.second_factor else "on")
    if key.second_factor:
        change = gettext("Do not ask for it at every login")
    else:
        change = gettext("Ask for it at every login")
    return (
        Form(RENAME_PATH, gettext("Rename"), (identifier, name)),
        Form(SECOND_FACTOR_PATH, change, (identifier, wanted)),
        remove_form(language, key),
    )
