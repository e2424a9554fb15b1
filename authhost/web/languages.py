"""The languages of the pages. The translations are gettext catalogues (.po files)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

from babel import Locale
from babel.dates import format_datetime
from babel.messages.pofile import read_po
from werkzeug.datastructures import LanguageAccept

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_web"


class Language:
    """One language: its tag, its direction, and the translations of texts."""

    def __init__(self, tag: str, texts: Mapping[str, str]) -> None:
        self.tag = tag
        self.locale = Locale.parse(tag)
        self.direction = self.locale.text_direction
        """``ltr`` or ``rtl``."""
        self._texts = texts

    def gettext(self, text: str, /, **values: object) -> str:
        """Return the translation of an English text, or the text itself, with ``values`` in it."""
        found = self._texts.get(text) or text
        return found % values if values else found

    def format_time(self, time: datetime) -> str:
        """Return a time, which has a time zone, in the format of this language and in UTC."""
        return format_datetime(time, "medium", locale=self.locale) + " UTC"


Gettext = Callable[..., str]


def choose_language(accepted: LanguageAccept) -> Language:
    """Return the language that an ``Accept-Language`` header prefers; English if there is none of them.

    A regional variant is as good as its language: ``de-AT, en;q=0.5`` is German (RFC 4647, 3.4).
    """
    for tag, quality in accepted:
        found = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and found in LANGUAGES:
            return language(found)
    return language(SOURCE_LANGUAGE)


@cache
def language(tag: str) -> Language:
    """Return a language of `LANGUAGES`."""
    if tag == SOURCE_LANGUAGE:
        return Language(tag, {})
    path = files("authhost.web") / "locale" / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=tag, domain=DOMAIN)
    except FileNotFoundError:
        return Language(tag, {})
    return Language(tag, {str(each.id): str(each.string) for each in catalogue if each.id and not each.fuzzy})


def N_(text: str) -> str:
    """Mark a text for translation where it is not translated at once."""
    return text
