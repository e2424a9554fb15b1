"""The fields of the forms of administrators. The labels are translated when a page is shown."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Choice, Field

from authhost.records import EMAIL_LENGTH, REASON_LENGTH
from authhost.web import fields
from authhost.web.languages import N_

ID, ADDRESS, EMAIL = fields.ID, fields.ADDRESS, fields.EMAIL
ITEM = replace(fields.ID, name="item")
"""The session or connection of the account ``id``."""
QUERY = Field(
    "query",
    N_("Beginning of an address, username or identifier"),
    required=False,
    max_length=EMAIL_LENGTH,
)
SHOW = Field(
    "show",
    N_("Show"),
    "select",
    required=False,
    choices=(
        Choice("", N_("All accounts")),
        Choice("active", N_("Active accounts")),
        Choice("deactivated", N_("Deactivated accounts")),
        Choice("verified", N_("With a confirmed address")),
        Choice("unverified", N_("Without a confirmed address")),
        Choice("guarded", N_("With a second factor")),
        Choice("passwordless", N_("Without a password")),
    ),
)
"""The choices are those of `authhost.users.directory.UserFilter`."""
BEFORE, AFTER = (replace(fields.ID, name=name, required=False) for name in ("before", "after"))
SEARCH = (QUERY, SHOW, BEFORE, AFTER)
NEW_EMAIL = replace(EMAIL, required=False, autocomplete="off")
NEW_USERNAME = replace(fields.USERNAME, required=False, autocomplete="off")
ADDED_EMAIL = replace(EMAIL, autocomplete="off")
VERIFIED = Field("verified", N_("The address is known to be theirs"), "checkbox", required=False)
INVITE = Field("invite", N_("Send a link to set a password"), "checkbox", required=False)
UNTIL = Field(
    "until",
    N_("Until"),
    "date",
    required=False,
    hint=N_("The account is active again when this day begins, in UTC. Without a day it stays deactivated."),
)
REASON = Field(
    "reason",
    N_("Reason"),
    required=False,
    hint=N_("Only administrators see it, and the export of the account."),
    max_length=REASON_LENGTH,
)
IMPERSONATION_REASON = Field(
    "reason",
    N_("Reason"),
    hint=N_("The audit trail has it. The user is told that an administrator works in the account."),
    max_length=REASON_LENGTH,
)
REMOVAL_REASON = Field(
    "reason",
    N_("Reason"),
    hint=N_("Check first that it is the user who asks."),
    autocomplete="off",
    max_length=REASON_LENGTH,
)
CONFIRM = Field(
    "confirm",
    N_("Address, username or identifier of the account"),
    max_length=EMAIL_LENGTH,
    autocomplete="off",
)
