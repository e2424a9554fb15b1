"""Keys and tokens: 256 random bits, stored as a SHA-256 digest (ASVS 5.0, 6.5.2)."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_key() -> str:
    """Return a new random key that is safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """Return the digest by which a key is stored and looked up."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def same(one: str, other: str) -> bool:
    """Return whether two keys are equal, in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def same_digest(one: bytes | None, other: bytes | None) -> bool:
    """Return whether two digests are equal, in constant time. None equals only None."""
    if one is None or other is None:
        return one is other
    return hmac.compare_digest(one, other)


def derive(secret: str, use: str) -> bytes:
    """Return the 256-bit key of one ``use`` (SHA-256 over the use and the secret).

    Each use has its own key, so that values of one use reveal nothing about
    another. Never change the derivation: stored values depend on it.
    """
    return hashlib.sha256(f"authhost.{use}:{secret}".encode("utf-8", "surrogatepass")).digest()
