"""Encryption at rest, by cryptography's Fernet (AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from authhost.errors import AuthHostError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

    from authhost.settings import Settings


class Undecipherable(AuthHostError):
    """What is stored was encrypted with a key that the settings do not have any more."""


class Encryption:
    """Seals with the first of ``encryption_keys``, or ``secret_key`` if there is none; opens with any."""

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.encryption_keys or settings.secret_keys

    @cached_property
    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import MultiFernet

        return MultiFernet([_fernet(key) for key in self._keys])

    def seal(self, value: Mapping[str, Any]) -> bytes:
        """``value``, which JSON can express, so that only the holder of the key can read it."""
        return self._fernet.encrypt(json.dumps(value).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """The value again; raises `Undecipherable`."""
        from cryptography.fernet import InvalidToken

        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise Undecipherable("encryption_keys has no key that opens this; was one removed?") from error
        return opened

    def rotate(self, sealed: bytes) -> bytes:
        """The same under the first key; raises `Undecipherable`."""
        return self.seal(self.open(sealed))


def _fernet(key: str) -> Fernet:
    """A key of any text: HKDF-SHA256 (RFC 5869) makes the 256 bits that Fernet wants."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), 32, salt=None, info=b"authhost.encryption").derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
