"""Translations by gettext, read from the catalogues that translators work on."""

from __future__ import annotations

import io
import re
from functools import cache, lru_cache
from importlib.resources import files

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

SHIPPED = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE = "en"
DOMAIN = "authhost_email"
ENTRY = re.compile(r"\s*([a-z0-9-]{1,35})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII | re.IGNORECASE)
"""A tag and its weight, in an Accept-Language."""


@lru_cache(maxsize=256)
def choose(wanted: str | None, default: str) -> str:
    """The shipped language that fits best: a tag such as ``de-AT``, or a whole Accept-Language (RFC 9110)."""
    found = negotiate_locale(_tags(wanted or ""), SHIPPED, sep="-")
    if found is None:
        found = negotiate_locale(_tags(default.replace("_", "-")), SHIPPED, sep="-")
    return found or SOURCE


def _tags(text: str) -> list[str]:
    """The tags, best first (RFC 9110, section 12.5.4), in lower case, as our languages are named."""
    entries = [match for each in text.split(",") if (match := ENTRY.fullmatch(each))]
    weighed = [(float(entry[2] or 1), entry[1].lower()) for entry in entries]
    return [tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0]


def direction(language: str) -> str:
    """``ltr`` or ``rtl``."""
    return locale(language).text_direction


def locale(language: str) -> Locale:
    """How dates are written; English where the language is not known."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(SOURCE)


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language; the source's texts stand for themselves, and for a language not known."""
    if language == SOURCE or language not in SHIPPED:
        return NullTranslations()
    path = files("authhost_email") / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language, domain=DOMAIN)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)
