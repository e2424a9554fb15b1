"""What people call a session: by the browser and system that its user agent says."""

from __future__ import annotations

import re

from authhost.records import Session
from authhost.web.languages import Gettext

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
"""Parts of user agents, the most specific first."""


def describe(user_agent: str) -> str:
    """Return the names of a known browser and system, such as ``Firefox, Linux``, or an empty text."""
    browser = next((name for part, name in BROWSERS if re.search(rf"{part}[A-Za-z]*/", user_agent)), "")
    system = next((name for part, name in SYSTEMS if part in user_agent), "")
    return ", ".join(filter(None, (browser, system)))


def title_of(session: Session, gettext: Gettext) -> str:
    """Return what a list calls a session. That of an administrator does not say which browser it is."""
    _ = gettext
    if session.actor is not None:
        return _("An administrator of this site")
    return describe(session.user_agent) or _("Unknown browser")
