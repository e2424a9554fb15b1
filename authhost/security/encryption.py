"""Encryption at rest, by cryptography's Fernet (AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import CannotOpen

from authhost.errors import AuthHostError
from authhost.records import Unpicklable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

    from authhost.settings import Settings

CORE, PLUGINS = b"authhost.security.encryption", b"authhost.security.encryption.plugins"
"""Each use has its own keys, so that one cannot decrypt values of the other."""
NO_KEY = "encryption_keys has no key that decrypts this value; add the key again if it was removed"


class Undecipherable(AuthHostError, CannotOpen):
    """No key of the settings decrypts the value, or it was encrypted for another purpose."""


class Encryption(Unpicklable):
    """Encrypts with the first of ``encryption_keys`` (or ``secret_key``), and decrypts with any of them."""

    def __init__(self, settings: Settings) -> None:
        self._keys = encryption_keys(settings)

    @cached_property
    def _fernet(self) -> MultiFernet:
        return _multi_fernet(self._core_keys)

    @cached_property
    def _plugins(self) -> MultiFernet:
        return _multi_fernet(self._plugin_keys)

    @cached_property
    def _core_keys(self) -> list[Fernet]:
        return [_fernet(key, CORE) for key in self._keys]

    @cached_property
    def _plugin_keys(self) -> list[Fernet]:
        return [_fernet(key, PLUGINS) for key in self._keys]

    def seal(self, value: Mapping[str, Any]) -> bytes:
        """Encrypt ``value``, which must be JSON-serialisable."""
        return self._fernet.encrypt(json.dumps(value).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Return the value that `seal` encrypted; raises `Undecipherable`."""
        from cryptography.fernet import InvalidToken

        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise Undecipherable(NO_KEY) from error
        return opened

    def rotate(self, sealed: bytes) -> bytes:
        """Encrypt a sealed value again, with the first key; raises `Undecipherable`."""
        return self.seal(self.open(sealed))

    def key_of(self, sealed: bytes | str) -> int | None:
        """Return the position in `encryption_keys` of the key that decrypts a value; None if there is none.

        A str is a value of `seal_text`, and bytes are one of `seal`.
        """
        from cryptography.fernet import InvalidToken

        for number, key in enumerate(self._plugin_keys if isinstance(sealed, str) else self._core_keys):
            try:
                key.decrypt(sealed)
            except InvalidToken:
                continue
            return number
        return None

    def seal_text(self, text: str, purpose: str) -> str:
        """Encrypt a plugin's text together with its purpose. The result is ASCII."""
        if not isinstance(text, str):
            raise TypeError(f"only text can be sealed, not {type(text).__name__}")
        # As UTF-8, not as ASCII with escapes, which takes 6 bytes for each other character.
        packed = json.dumps([purpose, text], ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self._plugins.encrypt(packed).decode("ascii")

    def open_text(self, sealed: str, purpose: str) -> str:
        """Return the text that `seal_text` encrypted; raises `Undecipherable`."""
        from cryptography.fernet import InvalidToken

        try:
            sealed_for, text = json.loads(self._plugins.decrypt(sealed.encode()))
        except (InvalidToken, UnicodeEncodeError, AttributeError) as error:
            raise Undecipherable(NO_KEY) from error
        if sealed_for != purpose:
            raise Undecipherable(
                "this value was sealed for another purpose; was it moved to another row or table?"
            )
        return str(text)


def encryption_keys(settings: Settings) -> tuple[str, ...]:
    """Return the keys that encrypt, the active one first."""
    return tuple(dict.fromkeys(settings.encryption_keys or settings.secret_keys))


def _multi_fernet(keys: list[Fernet]) -> MultiFernet:
    from cryptography.fernet import MultiFernet

    return MultiFernet(keys)


def _fernet(key: str, use: bytes) -> Fernet:
    """Derive a 256-bit Fernet key from any text by HKDF-SHA256 (RFC 5869)."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), 32, salt=None, info=use).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
