"""Passwords: everything that touches passlib."""

from __future__ import annotations

import threading
import unicodedata
import warnings
from typing import TYPE_CHECKING

from authhost.errors import ConfigurationError, InvalidInput, WeakPassword

if TYPE_CHECKING:
    from authhost.settings import Settings

SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")


class Passwords:
    """Hashes, checks and judges passwords. At most ``max_concurrent_hashes`` are computed at once."""

    def __init__(self, settings: Settings) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from passlib.context import CryptContext
            from passlib.exc import PasslibHashWarning
            from zxcvbn.frequency_lists import FREQUENCY_LISTS

            warnings.simplefilter("error", PasslibHashWarning)  # a value that it would replace by another
            try:
                self._context = CryptContext(
                    schemes=list(settings.password_schemes),
                    deprecated="auto",
                    **settings.password_hash_options,
                )
                self._dummy = self._context.hash("authhost: no account has this password")
            except Exception as error:  # each scheme has errors of its own
                raise ConfigurationError(
                    f"password_schemes or password_hash_options do not serve: {error}; correct them"
                ) from error
            self._free = threading.BoundedSemaphore(settings.max_concurrent_hashes)
            self._min, self._max = settings.password_min_length, settings.password_max_length
            self._site = settings.site_name
            self._common = frozenset(FREQUENCY_LISTS["passwords"])

    def normalise(self, password: object) -> str:
        """NFKC, as NIST SP 800-63B-4 asks; raises `InvalidInput` for what no form can send."""
        if not isinstance(password, str):
            raise InvalidInput("The password must be text.", field="password")
        if len(password) > self._max:
            raise WeakPassword(
                f"The password may have at most {self._max} characters.", field="password", reason="too_long"
            )
        if "\0" in password or (not password.isascii() and any("\ud800" <= c <= "\udfff" for c in password)):
            raise InvalidInput("The password has characters that cannot be stored.", field="password")
        return unicodedata.normalize("NFKC", password)

    def accept(self, password: object, *context: str | None) -> str:
        """Return ``password`` normalised if it meets the policy; raise `WeakPassword` with the reason.

        The whole of it is compared with a list of common passwords and with
        ``context`` (the address, the name), with repeats, digits around it,
        case and punctuation taken off (NIST SP 800-63B-4, 3.1.1.2).
        """
        text = self.normalise(password)
        if len(text) < self._min:
            raise WeakPassword(
                f"The password must have at least {self._min} characters.",
                field="password",
                reason="too_short",
            )
        core = _unrepeated(_core(text))
        word = _unrepeated(core.strip("0123456789"))
        known = {_core(part) for each in (self._site, *context) if each for part in (each, *each.split("@"))}
        if (
            len(set(core)) < 5
            or not {core, word}.isdisjoint(known)
            or not {core, word}.isdisjoint(self._common)
        ):
            raise WeakPassword(field="password", reason="too_common")
        if any(core in each or core in each[::-1] for each in SEQUENCES):
            raise WeakPassword(
                "The password must not be a sequence of keys.", field="password", reason="too_common"
            )
        return text

    def hash(self, password: str) -> str:
        """The hash to store."""
        with self._free:
            return str(self._context.hash(password))

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it is right, and a new hash to store where the parameters have moved.

        Without a stored hash the same work is done, and the answer is False.
        """
        with self._free:
            try:
                right, newer = self._context.verify_and_update(password, stored or self._dummy)
            except (ValueError, TypeError):
                right, newer = False, None
        return (bool(right), newer) if stored is not None else (False, None)


def _core(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _unrepeated(text: str) -> str:
    """``abcabc`` as ``abc``."""
    return text[: (text + text).find(text, 1)] if text else text
