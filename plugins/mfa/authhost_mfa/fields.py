"""The fields of the forms and of the JSON endpoints."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Field

from authhost_mfa.languages import N_, Gettext

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
TRUST = Field("trust", N_("Trust this browser for %(count)s days"), "checkbox", required=False)
SETUP = Field("setup", type="hidden")
NEW_CODE = replace(CODE, required=True)
AUTHENTICATOR_ID = Field("authenticator_id", type="hidden", max_length=36)
BROWSER_ID = Field("browser_id", type="hidden", required=False, max_length=36)


def shown(field: Field, gettext: Gettext, **changes: object) -> Field:
    """Return a field for a form, translated and required."""
    label = gettext(field.label) if field.label else ""
    hint = gettext(field.hint) if field.hint else ""
    values = {"label": label, "hint": hint, "required": True, **changes}
    return replace(field, **values)  # type: ignore[arg-type]
