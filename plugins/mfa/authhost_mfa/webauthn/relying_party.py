"""Who the site is for browsers and authenticators: the relying party identifier, and the origins."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORTS = {"https": 443, "http": 80}


def rp_id_of(base_url: str) -> str:
    """Return the relying party identifier: the host of ``base_url``. Credentials are bound to it.

    Raises ``ValueError`` if there is no host. Browsers refuse WebAuthn for an IP address.
    """
    host = urlsplit(base_url).hostname
    if not host:
        raise ValueError(f"base_url {base_url!r} has no host, which passkeys are bound to")
    return host


def origins_of(base_url: str) -> tuple[str, ...]:
    """Return the origin whose responses are accepted, as browsers write it (RFC 6454, 6.2)."""
    parts = urlsplit(base_url)
    host = rp_id_of(base_url)
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return (f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}",)
