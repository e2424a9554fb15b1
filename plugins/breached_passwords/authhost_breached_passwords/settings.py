"""The settings under ``[plugins.breached_passwords]``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

NAME = "breached_passwords"
ON_FAILURE = ("accept", "refuse")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
PATH = re.compile(r"(/[A-Za-z0-9\-._~!$&'()*+,;=:@%]*)*")
"""A path as in RFC 3986, section 3.3."""
MAX_TIMEOUT = 60
"""Seconds. A person waits for the answer."""


@dataclass(frozen=True, slots=True)
class BreachedPasswordsSettings:
    """Where breached passwords are looked up. With ``file`` and ``range_url``, both are used.

    ``file`` is the path of a text file with one SHA-1 hash per line (upper-case hex),
    sorted, as ``HASH`` or ``HASH:COUNT``. ``range_url`` is the URL of a range server, to
    which ``/`` and the first five characters of the hash are added. It must be HTTPS,
    except for this machine.

    A password is breached if it was found in at least ``minimum_count`` breaches. A
    hash without a count counts as breached.

    ``timeout`` (seconds) limits a whole request to the server, ``max_response`` (bytes)
    its response.

    ``on_failure`` says what happens if the file or the server fails: ``accept`` the
    password and log a warning, or ``refuse`` it. It is ``accept`` by default, since an
    outage of the server would otherwise stop all signups and all password resets.
    """

    file: str = ""
    range_url: str = ""
    minimum_count: int = 1
    timeout: float = 2.0
    max_response: int = 1_000_000
    on_failure: str = "accept"

    def __post_init__(self) -> None:
        if self.on_failure not in ON_FAILURE:
            raise ValueError(f"on_failure must be one of {', '.join(ON_FAILURE)}")
        if not 0 < self.timeout <= MAX_TIMEOUT:
            raise ValueError(f"timeout must be above 0 and at most {MAX_TIMEOUT} seconds")
        for name in ("minimum_count", "max_response"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.range_url:
            _check_url(self.range_url)


def _check_url(url: str) -> None:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("range_url must be ASCII without spaces; write other characters as Punycode or %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # the brackets of an IPv6 address, or the port
        raise ValueError(f"range_url is not a URL: {error}") from None
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("range_url must have the form https://HOST/PATH")
    if port == 0 or not PATH.fullmatch(parts.path):
        raise ValueError("range_url must have a port above 0, and a path without special characters")
    if not _is_host(parts.hostname):
        raise ValueError(f"range_url has {parts.hostname!r}, which is no host name and no IP address")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("range_url must begin with https://; http:// is for this machine only")


def _is_host(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    name = host.removesuffix(".")
    return len(name) <= 253 and all(map(LABEL.fullmatch, name.split(".")))
