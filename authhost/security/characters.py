"""Characters: what nobody sees, and what a username is made of."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from authhost.settings import USERNAME_SCRIPTS

SHRINKS = 4
"""Normalised text has at least a quarter of the characters: no decomposition is longer (UAX 15)."""
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

WRITTEN_TOGETHER = ({"cjk", "hiragana", "katakana"}, {"cjk", "hangul"}, {"bopomofo", "cjk"})
"""Scripts that one word is written in: Japanese, Korean, Chinese (UTS 39, 5.2)."""
LATIN = frozenset("ßæœøđðþłħŋ")
"""Small Latin letters that are no ASCII letter with marks, and look like no other letter."""
EXCEPTIONS = frozenset("Ð\u0640\u302e\u302f")
"""Ð looks like Đ; the others stretch or accompany a letter, and RFC 8264, 9.6 disallows them."""
PUNCTUATION = frozenset("0123456789._-")
MARKS = 2
"""How many combining marks may follow a letter, in scripts that need them."""


def is_username(name: str, key: str, scripts: Iterable[str]) -> bool:
    """Whether ``name``, in NFKC, has letters of one of ``scripts`` and `PUNCTUATION` alone.

    ``key`` is the name without case, which must meet the same rules. At least
    one character is a letter or a digit. The rules are narrower than RFC 8265,
    3.3 (UsernameCaseMapped): two names do not look alike by characters that
    nobody sees, by stacked marks or by letters of another script (UTS 39).
    """
    found = {_script(each) for each in (*name, *key) if each not in PUNCTUATION}
    return (
        found <= set(scripts)
        and (len(found) < 2 or any(found <= each for each in WRITTEN_TOGETHER))
        and any(each.isalnum() for each in name)
        and not _stacked(name)
        and (found.isdisjoint({"arabic", "hebrew"}) or _from_right_to_left(name))
    )


def _script(character: str) -> str:
    """The script of a letter, or of a mark that its script needs, by its name in Unicode; "" for all else."""
    if character in INVISIBLE or character in EXCEPTIONS or unicodedata.category(character)[0] not in "LM":
        return ""
    words = unicodedata.name(character, "").lower().split(" ")
    script = {"ideographic": "cjk", "katakana-hiragana": "katakana"}.get(words[0], words[0])
    if script == "latin":
        base = unicodedata.normalize("NFD", character)[0]
        return script if base.isascii() or character.lower() in LATIN else ""
    if script == "hangul" and words[1] != "syllable":  # Single jamo are old, or parts of a syllable.
        return ""
    return script if script in USERNAME_SCRIPTS else ""


def _stacked(name: str) -> bool:
    """Whether a mark follows no letter, or more than `MARKS` follow one."""
    marks = MARKS
    for each in name:
        if unicodedata.category(each)[0] != "M":
            marks = 0 if each.isalpha() else MARKS
        elif marks == MARKS:
            return True
        else:
            marks += 1
    return False


def _from_right_to_left(name: str) -> bool:
    """The rule of RFC 5893, 2 for names of such a script, which have no other letters."""
    kinds = [kind for kind in map(unicodedata.bidirectional, name) if kind != "NSM"]
    return kinds[0] in ("R", "AL") and kinds[-1] in ("R", "AL", "EN")
