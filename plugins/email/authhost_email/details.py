"""What messages say of the person and the device: words that a stranger may have chosen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

NUMBERS = re.compile(r"\d+(?:\.\d+)+")
LINK_MARKS = re.compile(r"://|@|(?<!\brv):(?=\S)|。|\.(?=\S)(?!(?<=\d\.)\d)")
"""What mail programs see a link by: a scheme, a port, an address, and the dot of a domain name.

The dot of a version such as 5.0 is none, nor the ``rv:`` of Firefox.
"""
PARTS_OF_AN_ADDRESS = 4
# The first that fits: most browsers also name those that they descend from.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def unlinked(text: str) -> str:
    """Return the words, with a space wherever a mail program might see a link."""
    plain = "".join(" " if _stands_for_a_link_mark(each) else each for each in text)
    return LINK_MARKS.sub(" ", NUMBERS.sub(_version, plain))


def _stands_for_a_link_mark(character: str) -> bool:
    """Whether it is another way to write a dot, a colon or the like: browsers take it for that (UTS 46)."""
    meant = unicodedata.normalize("NFKC", character)
    return meant != character and any(mark in meant for mark in ".:/@。")


def _version(numbers: re.Match[str]) -> str:
    """Leave 5.0 as it is; four numbers would be an IP address."""
    return numbers[0] if numbers[0].count(".") + 1 < PARTS_OF_AN_ADDRESS else numbers[0].replace(".", " ")


def details(context: Mapping[str, Any], when: str, _: Callable[..., str]) -> list[str]:
    """The lines of a security notice: when, from where and with what, as far as it is known."""
    found = [_("When: %(time)s") % {"time": when}]
    if context.get("ip_address"):
        found.append(_("From: %(ip)s") % {"ip": context["ip_address"]})
    agent = context.get("user_agent")
    if agent:
        found.append(_("With: %(agent)s") % {"agent": agent})
    return found


def described(user_agent: str) -> str:
    """Return browser and system, such as ``Firefox, Linux``, as far as they are known; else an empty text.

    A user agent is what a stranger likes, so nothing of it is repeated.
    """
    known = ((name for mark, name in names if mark in user_agent) for names in (BROWSERS, SYSTEMS))
    return ", ".join(name for name in (next(each, "") for each in known) if name)
