"""Validates the targets of redirects: a redirect never leaves the site."""

from __future__ import annotations

from urllib.parse import urlsplit

from authhost.errors import InvalidInput
from authhost.security.inputs import text
from authhost.settings import Settings

MAX_NEXT_LENGTH = 2048


def validate_next(settings: Settings, target: object, field: str = "next") -> str:
    """Return ``target`` if it is a page of this site; raises `InvalidInput` (ASVS 5.0, 3.7.2).

    ``field`` is the name of the value in the error.
    """
    found = text(target, field, MAX_NEXT_LENGTH)
    try:
        parts = urlsplit(found)
        host = parts.netloc
    except ValueError as error:
        raise InvalidInput(f"{field} is not a valid URL.", field=field) from error
    # A browser treats a backslash as a slash, and two slashes at the start as the beginning of a host.
    is_path = found.startswith("/") and not found.startswith("//") and not parts.scheme and not host
    site = urlsplit(settings.base_url)
    is_own_host = parts.scheme in ("https", site.scheme) and host in (
        site.netloc,
        *settings.allowed_next_hosts,
    )
    if "\\" in found or not (is_path or is_own_host):
        raise InvalidInput(f"{field} must be a path, or a URL of this site.", field=field)
    return found
