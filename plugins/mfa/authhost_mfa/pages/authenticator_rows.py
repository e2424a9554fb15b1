"""What the lists of authenticators show of each."""

from __future__ import annotations

from authhost_hookspecs import Form

from authhost_mfa import fields
from authhost_mfa.languages import Language
from authhost_mfa.pages.links import OVERVIEW_PATH
from authhost_mfa.values import Authenticator


def details(language: Language, authenticator: Authenticator) -> tuple[str, ...]:
    """Return when an authenticator was added and used."""
    gettext, used = language.gettext, authenticator.last_used_at
    added = gettext("Added %(time)s", time=language.format_time(authenticator.created_at))
    if used is None:
        return added, gettext("Not used yet")
    return added, gettext("Last used %(time)s", time=language.format_time(used))


def remove_form(language: Language, authenticator: Authenticator) -> Form:
    """Return the button that removes an authenticator."""
    identifier = fields.for_form(fields.AUTHENTICATOR_ID, language.gettext, value=str(authenticator.id))
    return Form(OVERVIEW_PATH, language.gettext("Remove"), (identifier,), danger=True)
