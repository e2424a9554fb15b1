"""The forms that ask for a second factor: at a login, and to confirm that it is the user."""

from __future__ import annotations

from authhost_hookspecs import Field, Form, Link, Page, Request, Section

from authhost_mfa import fields, mailbox_codes, reauthentication, steps
from authhost_mfa.access import REAUTHENTICATE_PATH
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.pages.lost import LOST_PATH
from authhost_mfa.policy import settings_of
from authhost_mfa.values import RECOVERY_CODE, TOTP, WEBAUTHN


def show_verify(request: Request) -> Page:
    """Ask for the second factor of the pending login."""
    pending, gettext = steps.pending_login(request), language_of(request).gettext
    methods = steps.methods_of_login(request, pending)
    days = settings_of(request).trust_days
    label = gettext(fields.TRUST.label, count=format(days, "g"))
    trust = (fields.for_form(fields.TRUST, gettext, label=label, required=False),) if days else ()
    options = steps.begin_verification(request) if WEBAUTHN in methods else ""
    forms = _forms(methods, steps.VERIFY_PATH, options, gettext, trust)
    text = [gettext("Your account is protected by a second factor.")]
    if steps.first_key_use(pending) is not None:
        text.append(gettext("The key with which this login has begun is not enough. Use another method."))
    links = (
        (Link(gettext("I have lost all of these"), LOST_PATH),) if mailbox_codes.is_offered(request) else ()
    )
    return Page("mfa_verify", gettext("Confirm that it is you"), tuple(text), forms, links=links)


def show_reauthenticate(request: Request) -> Page:
    """Ask the logged-in user for a second factor."""
    gettext = language_of(request).gettext
    text = (gettext("This is needed before you change how you log in."),)
    forms = _reauthentication_forms(request, reauthentication.methods(request), gettext)
    return Page("mfa_reauthenticate", gettext("Confirm that it is you"), text, forms)


def reauthenticate_panel(request: Request) -> Section | None:
    """Offer keys on the core's page that asks for a proof, and the way to the codes."""
    methods = reauthentication.methods(request)
    if not methods:
        return None
    gettext = language_of(request).gettext
    forms = _reauthentication_forms(request, [each for each in methods if each == WEBAUTHN], gettext)
    codes = Link(gettext("Use a code"), REAUTHENTICATE_PATH)
    links = (codes,) if any(each != WEBAUTHN for each in methods) else ()
    return Section(gettext("Two-step verification"), forms=forms, links=links)


def _reauthentication_forms(request: Request, methods: list[str], gettext: Gettext) -> tuple[Form, ...]:
    options = reauthentication.begin(request) if WEBAUTHN in methods else ""
    return _forms(methods, REAUTHENTICATE_PATH, options, gettext)


def _forms(
    methods: list[str], path: str, options: str, gettext: Gettext, more: tuple[Field, ...] = ()
) -> tuple[Form, ...]:
    """Return a form for each of the methods."""
    key = fields.for_form(fields.KEY, gettext, value=options)
    submit = gettext("Confirm")
    forms = {
        WEBAUTHN: Form(
            path,
            gettext("Use a passkey or security key"),
            (key, *more),
            title=gettext("Passkey or security key"),
        ),
        TOTP: Form(
            path,
            submit,
            (fields.for_form(fields.CODE, gettext), *more),
            title=gettext("Authenticator app"),
        ),
        RECOVERY_CODE: Form(
            path,
            submit,
            (fields.for_form(fields.RECOVERY_CODE, gettext), *more),
            title=gettext("Recovery code"),
            text=gettext("Each of your recovery codes can be used once."),
        ),
    }
    return tuple(forms[each] for each in methods)
