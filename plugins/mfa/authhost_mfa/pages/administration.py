"""The section of an administrator's page of a user: the factors, and their reset."""

from __future__ import annotations

from authhost_hookspecs import AdminAction, AdminPanel, Field, Form, Request, Row, Section, User, Values

from authhost_mfa import authenticators, fields, recovery_codes, trusted_browsers
from authhost_mfa.languages import N_, Language, language_of
from authhost_mfa.pages.authenticator_rows import details
from authhost_mfa.values import TOTP, Authenticator

RESET_PATH = "/factors/reset"
REASON = Field(
    "reason",
    N_("Reason"),
    hint=N_("Check first that it is the user who asks. Then the next login needs only the password."),
    autocomplete="off",
    max_length=200,
)


def show(request: Request, user: User) -> Section | None:
    """Show the authenticators of a user, and the form that removes all of them."""
    language = language_of(request)
    gettext, title = language.gettext, language.gettext("Two-step verification")
    found = authenticators.of_user(request, user.id)
    if not found:
        return Section(title, (gettext("The user has no second factor."),))
    text = [
        gettext("Recovery codes left: %(count)s", count=recovery_codes.count(request, user.id)),
        gettext("Trusted browsers: %(count)s", count=len(trusted_browsers.of_user(request, user.id))),
    ]
    form = Form(
        RESET_PATH, gettext("Remove all second factors"), (fields.for_form(REASON, gettext),), danger=True
    )
    return Section(title, tuple(text), tuple(_row(language, each) for each in found), (form,))


def reset(request: Request, user: User, values: Values) -> None:
    """Remove all second factors of a user who has lost them; the user is told by e-mail."""
    request.accounts.remove_factors(user.id, reason=str(values["reason"]))
    request.answer.message("success", language_of(request).gettext("All second factors are removed."))


def _row(language: Language, each: Authenticator) -> Row:
    gettext = language.gettext
    kind = gettext("Authenticator app") if each.kind == TOTP else gettext("Passkey or security key")
    labels = (gettext("Asked for at every login"),) if each.second_factor else ()
    about = (kind,) if each.name else ()
    return Row(each.name or kind, (*about, *details(language, each)), labels)


PANEL = AdminPanel(
    show,
    actions=(AdminAction(RESET_PATH, reset, "Remove all second factors of a user.", (REASON,)),),
)
