"""The forms that ask for a second factor: at a login, and to confirm that it is the user."""

from __future__ import annotations

from authhost_hookspecs import Form, Page, Request, User, Values

from authhost_mfa import fields, steps
from authhost_mfa.enrolment import current_user
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.policy import settings_of
from authhost_mfa.values import FACTORS, RECOVERY_CODE, TOTP
from authhost_mfa.verification import check_codes

REAUTHENTICATE_PATH = "/reauthenticate"


def show_verify(request: Request) -> Page:
    """Ask for the second factor of the pending login."""
    pending, gettext = steps.pending_login(request), language_of(request).gettext
    days = settings_of(request).trust_days
    trust = gettext(fields.TRUST.label, count=format(days, "g")) if days else ""
    forms = code_forms(request, pending.user, steps.VERIFY_PATH, gettext, trust)
    text = (gettext("Your account is protected by a second factor."),)
    return Page("mfa_verify", gettext("Confirm that it is you"), text, forms)


def verify(request: Request, values: Values) -> None:
    """Complete the step with a code."""
    steps.verify(request, values)


def show_reauthenticate(request: Request) -> Page:
    """Ask the logged-in user for a second factor."""
    user, gettext = current_user(request), language_of(request).gettext
    forms = code_forms(request, user, REAUTHENTICATE_PATH, gettext)
    text = (gettext("This is needed before you change how you log in."),)
    return Page("mfa_reauthenticate", gettext("Confirm that it is you"), text, forms)


def confirm(request: Request, values: Values) -> None:
    """Record that the logged-in user has used a second factor."""
    method = check_codes(request, current_user(request), values, reauthentication=True)
    request.logins.reauthenticate(method=method, factors=FACTORS)


def code_forms(
    request: Request, user: User, path: str, gettext: Gettext, trust: str = ""
) -> tuple[Form, ...]:
    """Return a form for each method of a user that is a code, the one that was used last first."""
    trusts = (fields.shown(fields.TRUST, gettext, label=trust, required=False),) if trust else ()
    forms = {
        TOTP: Form(
            path,
            gettext("Confirm"),
            (fields.shown(fields.CODE, gettext), *trusts),
            title=gettext("Authenticator app"),
        ),
        RECOVERY_CODE: Form(
            path,
            gettext("Confirm"),
            (fields.shown(fields.RECOVERY_CODE, gettext), *trusts),
            title=gettext("Recovery code"),
            text=gettext("Each of your recovery codes can be used once."),
        ),
    }
    return tuple(forms[each] for each in steps.methods(request, user) if each in forms)
