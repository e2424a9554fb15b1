"""Languages and translations. The translations are gettext catalogs (.po files)."""

from __future__ import annotations

import io
import re
from functools import cache, lru_cache
from importlib.resources import files

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_email"
ENTRY = re.compile(r"\s*([a-z0-9-]{1,35})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII | re.IGNORECASE)
"""A language tag and its weight in an Accept-Language header."""


@lru_cache(maxsize=256)
def negotiate_language(wanted: str | None, default: str) -> str:
    """Return the best supported language.

    ``wanted`` is a language tag such as ``de-AT``, or a whole Accept-Language header
    (RFC 9110). ``default`` is used if no wanted language is supported.
    """
    found = negotiate_locale(_tags(wanted or ""), LANGUAGES, sep="-")
    if found is None:
        found = negotiate_locale(_tags(default.replace("_", "-")), LANGUAGES, sep="-")
    return found or SOURCE_LANGUAGE


def _tags(text: str) -> list[str]:
    """Return the language tags in lower case, best first (RFC 9110, section 12.5.4)."""
    entries = [match for each in text.split(",") if (match := ENTRY.fullmatch(each))]
    weighed = [(float(entry[2] or 1), entry[1].lower()) for entry in entries]
    return [tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0]


def direction(language: str) -> str:
    """Return the text direction: ``ltr`` or ``rtl``."""
    return locale(language).text_direction


def locale(language: str) -> Locale:
    """Return the locale that formats dates: English for an unknown language."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(SOURCE_LANGUAGE)


@cache
def translations(language: str) -> NullTranslations:
    """Return the translations of a language. Without a catalog the source texts are used."""
    if language == SOURCE_LANGUAGE or language not in LANGUAGES:
        return NullTranslations()
    path = files("authhost_email") / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language, domain=DOMAIN)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)
