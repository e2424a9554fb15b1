"""The fields that several forms have in common. The labels are translated when a page is shown."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import Field

from authhost.records import EMAIL_LENGTH
from authhost.security.inputs import MAX_GIVEN_LENGTH
from authhost.settings import Settings
from authhost.web.languages import N_

KEY_LENGTH = 128
LINK_LENGTH = 16
NEXT_LENGTH = 2048
PASSWORD_LENGTH = 10_000

EMAIL = Field("email", N_("E-mail address"), "email", max_length=EMAIL_LENGTH)
IDENTIFIER = Field(
    "identifier", N_("E-mail address or username"), autocomplete="username", max_length=EMAIL_LENGTH
)
USERNAME = Field("username", N_("Username"), autocomplete="username", max_length=150)
PASSWORD = Field("password", N_("Password"), "password", max_length=PASSWORD_LENGTH)
NEW_PASSWORD = Field("password", N_("New password"), "new_password", max_length=PASSWORD_LENGTH)
NEXT = Field("next", type="hidden", required=False, max_length=NEXT_LENGTH)
KEY = Field("key", type="hidden", required=False, max_length=KEY_LENGTH)
LINK = Field("link", type="hidden", required=False, max_length=LINK_LENGTH)
"""The link of an e-mail that a form belongs to (`authhost.web.links`); its key is in a cookie."""
ID = Field("id", type="hidden", max_length=36)
ADDRESS = Field("email", type="hidden", max_length=EMAIL_LENGTH)


def username(settings: Settings) -> tuple[Field, ...]:
    """Return the field of the username in a signup, if the site asks for one."""
    if settings.username_at_signup == "no":
        return ()
    return (replace(USERNAME, required=settings.username_at_signup == "required"),)


def given(settings: Settings) -> tuple[Field, ...]:
    """Return the fields of the setting ``web_given``, for plugins."""
    return tuple(
        Field(name, type="hidden", required=False, max_length=MAX_GIVEN_LENGTH) for name in settings.web_given
    )
