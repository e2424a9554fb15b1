"""Which passwords are too easy to guess (NIST SP 800-63B-4, section 3.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable

from authhost.errors import WeakPassword

SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")
DIGITS = "0123456789"


class PasswordRules:
    """Refuses common passwords, names, and sequences of keys."""

    def __init__(self, site_name: str, common: Iterable[str]) -> None:
        self._site = site_name
        self._common = frozenset(common)

    def check(self, password: str, context: Iterable[str | None]) -> None:
        """Raise `WeakPassword` (``too_common``) for a normalised password that is easy to guess.

        The complete password is compared with a list of common passwords, with the
        name of the site and with ``context`` (the address, the username). Repetitions,
        digits, case and punctuation are removed before. A sequence of keys is
        refused, several in a row too, and two that alternate (``1q2w3e4r…``).
        """
        core = _unrepeated(_core(password))
        words = {
            core,
            _unrepeated(core.strip(DIGITS)),
            _unrepeated("".join(each for each in core if each not in DIGITS)),
        } - {""}
        known = {_core(part) for each in (self._site, *context) if each for part in (each, *each.split("@"))}
        if len(set(core)) < 5 or not words.isdisjoint(known) or not words.isdisjoint(self._common):
            raise WeakPassword(field="password", reason="too_common")
        if _sequences(core) or (_sequences(core[::2]) and _sequences(core[1::2])):
            raise WeakPassword(
                "The password must not be a sequence of keys.", field="password", reason="too_common"
            )


def _core(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _sequences(text: str) -> bool:
    """Return whether ``text`` consists of sequences of at least four keys each, forwards or backwards."""
    at = 0
    while at < len(text):
        ends = [at]
        for each in (*SEQUENCES, *(sequence[::-1] for sequence in SEQUENCES)):
            end = at
            while end < len(text) and text[at : end + 1] in each:
                end += 1
            ends.append(end)
        if max(ends) - at < 4:
            return False
        at = max(ends)
    return True


def _unrepeated(text: str) -> str:
    """Return the part that ``text`` repeats: ``abc`` for ``abcabc``."""
    return text[: (text + text).find(text, 1)] if text else text
