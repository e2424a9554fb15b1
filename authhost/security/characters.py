"""Characters: the invisible ones, and the ones that usernames may have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from authhost.settings import USERNAME_SCRIPTS

MAX_SHRINK_FACTOR = 4
"""NFKC shortens a text to a quarter of its characters at most (UAX 15)."""
INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x00AD, 0x00AD),
        (0x034F, 0x034F),
        (0x061C, 0x061C),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
)
"""Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, and the blank pattern of braille."""

SCRIPT_COMBINATIONS = ({"cjk", "hiragana", "katakana"}, {"cjk", "hangul"}, {"bopomofo", "cjk"})
"""Scripts that one word may combine: Japanese, Korean, Chinese (UTS 39, 5.2)."""
LATIN = frozenset("ßæœøđðþłħŋ")
"""Lower-case Latin letters that are not an ASCII letter with marks, and do not look like another letter."""
EXCEPTIONS = frozenset("Ð\u0640\u302e\u302f")
"""Ð looks like Đ. RFC 8264, section 9.6, disallows the others."""
PUNCTUATION = frozenset("0123456789._-")
MAX_MARKS = 2
"""How many combining marks may follow a letter, in scripts that need them."""


def is_username(name: str, key: str, scripts: Iterable[str]) -> bool:
    """Return whether ``name``, in NFKC, only has letters of one of ``scripts`` and `PUNCTUATION`.

    ``key`` is the case-folded name, which must meet the same rules. At least one
    character must be a letter or a digit. The rules are stricter than RFC 8265,
    section 3.3 (UsernameCaseMapped), so that two names cannot look alike through
    invisible characters, stacked marks or letters of another script (UTS 39).
    """
    found = {_script(each) for each in (*name, *key) if each not in PUNCTUATION}
    return (
        found <= set(scripts)
        and (len(found) < 2 or any(found <= each for each in SCRIPT_COMBINATIONS))
        and any(each.isalnum() for each in name)
        and not _has_stacked_marks(name)
        and (found.isdisjoint({"arabic", "hebrew"}) or _meets_bidi_rule(name))
    )


def _script(character: str) -> str:
    """Return the script of a letter or a mark, from its Unicode name; "" for all other characters."""
    if character in INVISIBLE or character in EXCEPTIONS or unicodedata.category(character)[0] not in "LM":
        return ""
    words = unicodedata.name(character, "").lower().split(" ")
    script = {"ideographic": "cjk", "katakana-hiragana": "katakana"}.get(words[0], words[0])
    if script == "latin":
        base = unicodedata.normalize("NFD", character)[0]
        return script if base.isascii() or character.lower() in LATIN else ""
    if script == "hangul" and words[1] != "syllable":  # Single jamo are obsolete, or parts of a syllable.
        return ""
    return script if script in USERNAME_SCRIPTS else ""


def _has_stacked_marks(name: str) -> bool:
    """Return whether a mark follows no letter, or more than `MAX_MARKS` follow one."""
    marks = MAX_MARKS
    for each in name:
        if unicodedata.category(each)[0] != "M":
            marks = 0 if each.isalpha() else MAX_MARKS
        elif marks == MAX_MARKS:
            return True
        else:
            marks += 1
    return False


def _meets_bidi_rule(name: str) -> bool:
    """Return whether a name of a right-to-left script meets RFC 5893, section 2. It has no other letters."""
    kinds = [kind for kind in map(unicodedata.bidirectional, name) if kind != "NSM"]
    return kinds[0] in ("R", "AL") and kinds[-1] in ("R", "AL", "EN")
