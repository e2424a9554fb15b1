"""Texts about a person and their device. A stranger may have chosen the words, so links are removed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

NUMBERS = re.compile(r"\d+(?:\.\d+)+")
"""Numbers with dots, such as a version or an IP address."""
LINK_CHARACTERS = re.compile(r"://|@|(?<!\brv):(?=\S)|。|\.(?=\S)(?!(?<=\d\.)\d)")
"""The characters by which a mail program detects a link: of a scheme, port, address or domain name.

The dot in a version such as 5.0 is not one of them, nor is the colon in Firefox's ``rv:``.
"""
IPV4_PARTS = 4
# The first match counts: most browsers also send the names of the browsers they are based on.
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


def remove_link_syntax(text: str) -> str:
    """Return a text with a space in place of each character by which a mail program could detect a link."""
    plain = "".join(" " if _looks_like_link_character(each) else each for each in text)
    return LINK_CHARACTERS.sub(" ", NUMBERS.sub(_version, plain))


def _looks_like_link_character(character: str) -> bool:
    """Return whether browsers treat a character as a dot, colon or the like (UTS 46)."""
    normalized = unicodedata.normalize("NFKC", character)
    return normalized != character and any(mark in normalized for mark in ".:/@。")


def _version(numbers: re.Match[str]) -> str:
    """Keep a version such as 5.0. Four numbers could be an IP address, so their dots are removed."""
    return numbers[0] if numbers[0].count(".") + 1 < IPV4_PARTS else numbers[0].replace(".", " ")


def details(context: Mapping[str, Any], when: str, _: Callable[..., str]) -> list[str]:
    """Return the lines of a security notice: time, IP address and device, as far as they are known."""
    found = [_("When: %(time)s") % {"time": when}]
    if context.get("ip_address"):
        found.append(_("From: %(ip)s") % {"ip": context["ip_address"]})
    agent = context.get("user_agent")
    if agent:
        found.append(_("With: %(agent)s") % {"agent": agent})
    return found


def describe_user_agent(user_agent: str) -> str:
    """Return browser and system, such as ``Firefox, Linux``, or an empty text if both are unknown.

    The client can send any text as its user agent, so no part of it is repeated.
    """
    known = ((name for mark, name in names if mark in user_agent) for names in (BROWSERS, SYSTEMS))
    return ", ".join(name for name in (next(each, "") for each in known) if name)
