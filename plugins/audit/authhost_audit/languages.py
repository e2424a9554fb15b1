"""Texts in the language of the request. The translations are gettext catalogues (.po files)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files

from authhost_hookspecs import Request
from babel.messages.pofile import read_po

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_audit"
TAG = re.compile(r"\s*([A-Za-z0-9_-]{1,35})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII)
"""A language tag and its weight in an Accept-Language header (RFC 9110, 12.5.4)."""
Gettext = Callable[..., str]


def gettext_of(request: Request) -> Gettext:
    """Return the function that translates texts, with values in them, for a request."""
    texts = _catalogue(_choose(request.language or ""))

    def gettext(text: str, /, **values: object) -> str:
        found = texts.get(text) or text
        return found % values if values else found

    return gettext


def N_(text: str) -> str:
    """Mark a text for translation where it is not translated at once."""
    return text


@lru_cache(maxsize=256)
def _choose(header: str) -> str:
    """Return a language: a regional variant is as good as its language (RFC 4647, 3.4)."""
    entries = [match for each in header.split(",") if (match := TAG.fullmatch(each))]
    weighed = sorted(((float(each[2] or 1), each[1]) for each in entries), key=lambda each: -each[0])
    for weight, tag in weighed:
        found = tag.replace("_", "-").partition("-")[0].lower()
        if weight > 0 and found in LANGUAGES:
            return found
    return SOURCE_LANGUAGE


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(tag: str) -> Mapping[str, str]:
    if tag == SOURCE_LANGUAGE:
        return {}
    path = files("authhost_audit") / "locale" / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file, locale=tag) if each.id}
