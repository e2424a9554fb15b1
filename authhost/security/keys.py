"""Keys and tokens: 256 random bits, stored as a SHA-256 digest (ASVS 5.0, 6.5.2)."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_key() -> str:
    """A fresh key, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """What is stored of a key, and looked up by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def same(one: str, other: str) -> bool:
    """Whether two keys are equal, in a time that does not tell how far."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def same_digest(one: bytes | None, other: bytes | None) -> bool:
    """The same for two digests; None is equal to None alone."""
    if one is None or other is None:
        return one is other
    return hmac.compare_digest(one, other)


def derive(secret: str, use: str) -> bytes:
    """Return the 256-bit key of one ``use`` (SHA-256 over the use and the secret).

    Each use of a secret key has its own key, so that what one use publishes
    says nothing about another. The stored values depend on it: never change it.
    """
    return hashlib.sha256(f"authhost.{use}:{secret}".encode("utf-8", "surrogatepass")).digest()
