"""The keys that sign seals: Ed25519 (RFC 8032), by the library cryptography."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import click
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authhost_audit.settings import AuditSettings


def key_id(public_key: bytes) -> str:
    """The short name of a key: the first 8 bytes of its SHA-256, as hex."""
    return hashlib.sha256(public_key).digest()[:8].hex()


def new_key() -> tuple[str, str]:
    """A signing key and its public key, both as base64."""
    key = Ed25519PrivateKey.generate()
    return _text(key.private_bytes_raw()), _text(key.public_key().public_bytes_raw())


class Signer:
    """Signs with the setting ``signing_key``; raises `click.ClickException` where there is none."""

    def __init__(self, settings: AuditSettings) -> None:
        if not settings.signing_key:
            raise click.ClickException(
                "seals need a signing_key under [plugins.audit]; make one with `authhost audit new-key`"
            )
        self._key = Ed25519PrivateKey.from_private_bytes(_bytes(settings.signing_key, "signing_key"))
        self.public_key = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


class Trusted(NamedTuple):
    """A public key, and the last seal that it may have signed; None where there is no end."""

    key: bytes
    last: int | None


class Keyring:
    """The public keys that are trusted: of ``signing_key``, and each of ``former_keys`` up to its end."""

    def __init__(self, settings: AuditSettings) -> None:
        self.keys = {key_id(each.key): each for each in _trusted(settings)}

    def ends_before(self, name: str, number: int) -> bool:
        """Whether the key of that name signed its last seal before ``number``."""
        last = self.keys[name].last
        return last is not None and last < number

    def verifies(self, name: str, message: bytes, signature: bytes) -> bool:
        """Whether the key of that name is trusted at all and has signed ``message``."""
        if name not in self.keys:
            return False
        key = self.keys[name].key
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _trusted(settings: AuditSettings) -> Iterator[Trusted]:
    for each in settings.former_keys.split(","):
        if each.strip():
            key, _, last = each.strip().partition("@")
            if last and not last.isdecimal():
                raise click.ClickException(
                    f"former_keys under [plugins.audit]: @{last} is no number of a seal"
                )
            yield Trusted(_bytes(key, "former_keys"), int(last) if last else None)
    if settings.signing_key:
        yield Trusted(Signer(settings).public_key, None)


def _bytes(text: str, setting: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        found = b""
    if len(found) != 32:
        raise click.ClickException(f"{setting} under [plugins.audit] is no key of `authhost audit new-key`")
    return found


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
