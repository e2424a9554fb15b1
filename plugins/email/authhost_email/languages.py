"""Translations by gettext, read from the catalogues that translators work on."""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

SHIPPED = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE = "en"
DOMAIN = "authhost_email"


def choose(wanted: str | None, default: str) -> str:
    """The shipped language that fits best: a tag such as ``de-AT``, or a whole Accept-Language (RFC 9110)."""
    tags = [_tag(each) for each in (wanted or "").split(",")]
    found = negotiate_locale([each for each in tags if each], SHIPPED, sep="-")
    if found is None:
        found = negotiate_locale([default.replace("_", "-")], SHIPPED, sep="-")
    return found or SOURCE


def _tag(text: str) -> str:
    """The tag of one entry; empty for one of weight 0, which is not wanted."""
    tag, _, weight = text.strip().partition(";")
    return "" if weight.strip().replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") else tag[:35]


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
    """The catalogue of a language; the source's texts stand for themselves."""
    if language == SOURCE:
        return NullTranslations()
    path = files("authhost_email") / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language, domain=DOMAIN)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)
