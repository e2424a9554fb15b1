"""Texts in the language of the request. The translations are gettext catalogues (.po files).

They are few and have no plurals, so they are read without Babel, which this plugin does not need otherwise.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files

from authhost_hookspecs import Request

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja", "zh", "ar")
SOURCE_LANGUAGE = "en"
DOMAIN = "authhost_audit"
TAG = re.compile(r"\s*([A-Za-z0-9_-]{1,35})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII)
"""A language tag and its weight in an Accept-Language header (RFC 9110, 12.5.4)."""
STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
ENTRY = re.compile(rf"^msgid {STRINGS}^msgstr {STRINGS}", re.MULTILINE)
"""One message of a catalogue: each text is one or more strings with the escapes of C."""
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
    found = ENTRY.findall(path.read_text(encoding="utf-8"))
    return {_text(identifier): _text(translation) for identifier, translation in found}


def _text(strings: str) -> str:
    return "".join(literal_eval(each) for each in strings.split("\n") if each.strip())
