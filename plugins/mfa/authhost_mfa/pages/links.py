"""The links that several pages have."""

from __future__ import annotations

from authhost_hookspecs import Link

from authhost_mfa.access import REAUTHENTICATE_PATH
from authhost_mfa.languages import Gettext

OVERVIEW_PATH = "/authenticators"


def to_overview(gettext: Gettext) -> Link:
    """Return the link to the list of authenticators."""
    return Link(gettext("Two-step verification"), OVERVIEW_PATH)


def to_reauthentication(gettext: Gettext) -> Link:
    """Return the link to the page that asks the logged-in user for a second factor."""
    return Link(gettext("Confirm that it is you"), REAUTHENTICATE_PATH)
