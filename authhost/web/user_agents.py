"""Names of the browsers and systems that user agents say."""

from __future__ import annotations

import re

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
