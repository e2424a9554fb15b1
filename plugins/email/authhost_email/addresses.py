"""E-mail addresses in the forms in which mail servers and authhost compare them."""

from __future__ import annotations

import unicodedata
from email.errors import MessageError
from email.headerregistry import Address

import idna

from authhost_email.errors import InvalidAddress


def to_wire_format(address: str) -> str:
    """Return an address with its domain in ASCII (RFC 5891), which every mail server accepts.

    Raises `InvalidAddress`.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise InvalidAddress(f"{address!r} is not an e-mail address")
    try:
        return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
    except UnicodeError:
        raise InvalidAddress(f"the domain of {address!r} is not valid") from None


def comparison_key(address: str) -> str:
    """Return the same text for all notations of an address. Raises `InvalidAddress`."""
    return unicodedata.normalize("NFC", to_wire_format(address.strip())).lower()


def is_bare_address(address: str) -> bool:
    """Return whether a text is an address without a display name (``addr-spec`` of RFC 5322)."""
    try:
        return bool(Address(addr_spec=to_wire_format(address)).domain)
    except (ValueError, MessageError, LookupError):
        return False
