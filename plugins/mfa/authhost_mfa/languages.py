"""Texts in the language of the request. The translations are gettext catalogues (.po files)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from importlib.resources import files

from authhost_hookspecs import Request
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_mfa"
ENTRY = re.compile(r"\s*([A-Za-z0-9_-]{1,35})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII)
"""A language tag and its weight in an Accept-Language header (RFC 9110, 12.5.4)."""
Gettext = Callable[..., str]


class Language:
    """One language: the translations of texts, and how it writes times."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._locale = Locale.parse(tag)
        self._texts = _catalogue(tag)

    def gettext(self, text: str, /, **values: object) -> str:
        """Return the translation of an English text, or the text itself, with ``values`` in it."""
        found = self._texts.get(text) or text
        return found % values if values else found

    def format_time(self, time: datetime) -> str:
        """Return a time, which has a time zone, in UTC."""
        return format_datetime(time, "medium", locale=self._locale) + " UTC"

    def format_day(self, time: datetime) -> str:
        """Return the day of a time, in UTC."""
        return format_date(time, "long", locale=self._locale)


def language_of(request: Request) -> Language:
    """Return the language of a request: a regional variant is as good as its language (RFC 4647, 3.4)."""
    return language(_choose(request.language or ""))


@lru_cache(maxsize=256)
def _choose(header: str) -> str:
    entries = [match for each in header.split(",") if (match := ENTRY.fullmatch(each))]
    weighed = sorted(((float(each[2] or 1), each[1]) for each in entries), key=lambda each: -each[0])
    for weight, tag in weighed:
        found = tag.replace("_", "-").partition("-")[0].lower()
        if weight > 0 and found in LANGUAGES:
            return found
    return SOURCE_LANGUAGE


@lru_cache(maxsize=len(LANGUAGES))
def language(tag: str) -> Language:
    """Return a language of `LANGUAGES`."""
    return Language(tag)


def _catalogue(tag: str) -> dict[str, str]:
    path = files("authhost_mfa") / "locale" / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    if tag == SOURCE_LANGUAGE or not path.is_file():
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=tag, domain=DOMAIN)
    return {str(each.id): str(each.string) for each in catalogue if each.id and not each.fuzzy}


def N_(text: str) -> str:
    """Mark a text for translation where it is not translated at once."""
    return text
