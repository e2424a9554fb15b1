"""Where the hash of a password is looked up."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from authhost_breached_passwords.hash_file import count_in_file
from authhost_breached_passwords.range_server import count_at_server
from authhost_breached_passwords.settings import BreachedPasswordsSettings


def sha1_of(password: str) -> str:
    """Return the hash by which breached passwords are published, as upper-case hex."""
    return sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def sources(settings: BreachedPasswordsSettings) -> list[Callable[[str], float]]:
    """Return the functions that count the breaches of a hash. The file is first: it needs no network."""
    found: list[Callable[[str], float]] = []
    if settings.file:
        found.append(lambda digest: count_in_file(settings.file, digest))
    if settings.range_url:
        found.append(
            lambda digest: count_at_server(
                settings.range_url, digest, timeout=settings.timeout, max_response=settings.max_response
            )
        )
    return found
