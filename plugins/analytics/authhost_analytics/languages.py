"""The languages of the HTML report. The translations are gettext catalogues (.po files)."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_analytics"
ISOLATE, END_ISOLATE = "\u2066", "\u2069"
"""Around a text such as ``+5 %``, so that its signs stay in place in a text from right to left."""


class Language:
    """One language: the translations of texts, and how it writes numbers and dates."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._locale = Locale.parse(tag)
        self._texts = _catalogue(tag)
        self.direction = str(self._locale.text_direction)

    def gettext(self, text: str, /, **values: object) -> str:
        """Return the translation of an English text, or the text itself, with ``values`` in it."""
        found = self._texts.get(text) or text
        return found % values if values else found

    def number(self, count: int) -> str:
        """Return a number with the language's separators."""
        return str(format_decimal(count, locale=self._locale))

    def percent(self, share: float, digits: int = 0) -> str:
        """Return a share, from 0 to 1, in percent."""
        return self.isolate(
            format_percent(round(share, digits + 2), locale=self._locale, decimal_quantization=False)
        )

    def day(self, day: date) -> str:
        """Return a day with its year."""
        return str(format_date(day, "medium", locale=self._locale))

    def duration(self, count: int, unit: str) -> str:
        """Return such as ``15 minutes``. ``unit`` is ``second``, ``minute``, ``hour`` or ``day``."""
        return str(format_unit(count, f"duration-{unit}", "long", locale=self._locale))

    def skeleton(self, fields: str, time: date | datetime) -> str:
        """Return the fields of a time, such as ``MMMd``, in the order of the language."""
        return str(format_skeleton(fields, time, locale=self._locale))

    def isolate(self, text: str) -> str:
        """Return a text that keeps its order from left to right."""
        return f"{ISOLATE}{text}{END_ISOLATE}" if self.direction == "rtl" else text


@lru_cache(maxsize=len(LANGUAGES))
def language(tag: str) -> Language:
    """Return a language of `LANGUAGES`."""
    return Language(tag)


def _catalogue(tag: str) -> dict[str, str]:
    if tag == SOURCE_LANGUAGE:
        return {}
    path = files("authhost_analytics") / "locale" / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=tag, domain=DOMAIN)
    return {str(each.id): str(each.string) for each in catalogue if each.id and not each.fuzzy}


def N_(text: str) -> str:
    """Mark a text for translation where it is not translated at once."""
    return text
