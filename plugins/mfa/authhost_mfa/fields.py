"""The fields of the forms and of the JSON endpoints."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Field

from authhost_mfa.languages import N_, Gettext
from authhost_mfa.tables import NAME_LENGTH

EMAIL = Field("email", N_("E-mail address"), "email", max_length=254)
USERNAME = Field("username", N_("Username"), required=False, autocomplete="username", max_length=150)
CODE = Field(
    "code",
    N_("Code"),
    "code",
    required=False,
    hint=N_("The 6 digits that your authenticator app shows."),
    max_length=20,
)
RECOVERY_CODE = Field(
    "recovery_code", N_("Recovery code"), required=False, autocomplete="off", max_length=100
)
FIRST_CODE = Field("first_code", N_("First code"), autocomplete="off", max_length=100)
SECOND_CODE = Field("second_code", N_("Second code"), autocomplete="off", max_length=100)
TRUST = Field("trust", N_("Trust this browser for %(count)s days"), "checkbox", required=False)
KEY = Field("credential", type="public_key_get", required=False)
NEW_KEY = Field("credential", type="public_key_create", required=False)
KEY_NAME = Field(
    "name", N_("Name"), required=False, hint=N_("Such as the device it is on."), max_length=NAME_LENGTH
)
SECOND_FACTOR = Field(
    "second_factor",
    N_("Ask for it at every login"),
    "checkbox",
    required=False,
    hint=N_("Otherwise it is one more way to log in, and your password stays enough."),
)
SETUP = Field("setup", type="hidden", required=False)
REPLACES = Field("replaces", type="hidden", required=False, max_length=36)
NEW_CODE = replace(CODE, required=True)
AUTHENTICATOR_ID = Field("authenticator_id", type="hidden", max_length=36)
BROWSER_ID = Field("browser_id", type="hidden", required=False, max_length=36)


def for_form(field: Field, gettext: Gettext, **changes: object) -> Field:
    """Return a field for a form, translated and required."""
    label = gettext(field.label) if field.label else ""
    hint = gettext(field.hint) if field.hint else ""
    values = {"label": label, "hint": hint, "required": True, **changes}
    return replace(field, **values)  # type: ignore[arg-type]


def hidden(name: str, value: str) -> Field:
    """Return a hidden field of a form that is one button."""
    return Field(name, type="hidden", required=False, value=value)
