"""The keys that sign batches: Ed25519 (RFC 8032), from the library cryptography."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import click
from authhost_hookspecs import KeyStatus
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authhost_audit.settings import AuditSettings


def key_id(public_key: bytes) -> str:
    """Return the short name of a key: the first 8 bytes of its SHA-256, as hexadecimal digits."""
    return hashlib.sha256(public_key).digest()[:8].hex()


def decode_signature(text: str) -> bytes:
    """Return a stored signature; raises `ValueError` unless ``text`` is its only form, in small letters."""
    signature = bytes.fromhex(text)
    if text != signature.hex():
        raise ValueError("a signature is written in small hexadecimal digits")
    return signature


def new_key() -> tuple[str, str]:
    """Create a key pair. Returns the signing key and the public key, both in base64."""
    key = Ed25519PrivateKey.generate()
    return encode_key(key.private_bytes_raw()), encode_key(key.public_key().public_bytes_raw())


class Signer:
    """Signs with the setting ``signing_key``. Raises `click.ClickException` if it is missing or invalid."""

    def __init__(self, settings: AuditSettings) -> None:
        if not settings.signing_key:
            raise click.ClickException(
                "there is no signing_key under [plugins.audit]; create one with `authhost audit new-key`"
            )
        self._key = Ed25519PrivateKey.from_private_bytes(_decode_key(settings.signing_key, "signing_key"))
        self.public_key = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message)


class TrustedKey(NamedTuple):
    """A public key, and the number of the last batch that it may have signed. None means no limit."""

    key: bytes
    last: int | None
    status: KeyStatus


class Keyring:
    """The trusted public keys: those of ``signing_key`` and ``next_signing_key``, and ``former_keys``.

    Each of ``former_keys`` is trusted up to its last batch.
    """

    def __init__(self, settings: AuditSettings) -> None:
        self.keys = {key_id(each.key): each for each in reversed(list(trusted_keys(settings)))}

    def retired_before(self, name: str, number: int) -> bool:
        """Return whether the key ``name`` signed its last batch before batch ``number``."""
        last = self.keys[name].last
        return last is not None and last < number

    def has_signed(self, name: str, message: bytes, signature: bytes) -> bool:
        """Return whether the key ``name`` is trusted and ``signature`` is its signature of ``message``."""
        if name not in self.keys:
            return False
        key = self.keys[name].key
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def trusted_keys(settings: AuditSettings) -> Iterator[TrustedKey]:
    """Yield the trusted keys, the active one first. Raises `click.ClickException` for one that is invalid."""
    if settings.signing_key:
        yield TrustedKey(Signer(settings).public_key, None, "active")
    if settings.next_signing_key:
        upcoming = replace(settings, signing_key=settings.next_signing_key)
        yield TrustedKey(Signer(upcoming).public_key, None, "upcoming")
    for each in settings.former_keys.split(","):
        if each.strip():
            key, _, last = each.strip().partition("@")
            if last and not last.isdecimal():
                raise click.ClickException(
                    f"former_keys under [plugins.audit]: @{last} must be the number of a batch, such as @1042"
                )
            yield TrustedKey(_decode_key(key, "former_keys"), int(last) if last else None, "former")


def _decode_key(text: str, setting: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        found = b""
    if len(found) != 32:
        raise click.ClickException(
            f"{setting} under [plugins.audit] is not a valid key; create one with `authhost audit new-key`"
        )
    return found


def encode_key(key: bytes) -> str:
    """Return a key as the settings have it, in base64."""
    return base64.b64encode(key).decode()
