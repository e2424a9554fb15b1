"""Passwords: everything that touches passlib."""

from __future__ import annotations

import threading
import unicodedata
import warnings
from typing import TYPE_CHECKING

from authhost.errors import InvalidInput, WeakPassword

if TYPE_CHECKING:
    from authhost.settings import Settings

SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
COMMON = (
    *("password", "passwort", "letmein", "welcome", "iloveyou", "monkey", "dragon", "sunshine", "princess"),
    *("football", "baseball", "trustno", "superman", "batman", "master", "shadow", "admin", "login"),
    *("secret", "changeme", "correcthorsebatterystaple"),
)


class Passwords:
    """Hashes, checks and judges passwords. At most ``max_concurrent_hashes`` are computed at once."""

    def __init__(self, settings: Settings) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from passlib.context import CryptContext

            self._context = CryptContext(
                schemes=list(settings.password_schemes), deprecated="auto", **settings.password_hash_options
            )
            self._free = threading.BoundedSemaphore(settings.max_concurrent_hashes)
            self._min, self._max = settings.password_min_length, settings.password_max_length
            self._site = settings.site_name.casefold()
            self._dummy = self._context.hash("authhost: no account has this password")

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

        ``context`` are words that it must not be made of: the address, the name.
        """
        text = self.normalise(password)
        if len(text) < self._min:
            raise WeakPassword(
                f"The password must have at least {self._min} characters.",
                field="password",
                reason="too_short",
            )
        core = "".join(c for c in text.casefold() if c.isalnum())
        words = [self._site, *COMMON, *SEQUENCES]
        for each in context:
            words += (each or "").casefold().replace("@", " ").replace(".", " ").split()
        for word in sorted((w for w in words if len(w) >= 3), key=len, reverse=True):
            core = core.replace(word, "").replace(word[::-1], "")
        if len(set(text)) < 5 or len(set(core)) < 4:
            raise WeakPassword(field="password", reason="too_common")
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
