"""Addresses, as servers and as authhost compare them."""

from __future__ import annotations

import unicodedata
from email.errors import MessageError
from email.headerregistry import Address

import idna

from authhost_email.errors import NoAddress


def on_the_wire(address: str) -> str:
    """With the domain as DNS knows it (RFC 5891), for any server. Raises `NoAddress`."""
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise NoAddress(f"{address!r} is no e-mail address")
    try:
        return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
    except UnicodeError:
        raise NoAddress(f"{address!r} has no valid domain") from None


def key(address: str) -> str:
    """The same for all ways to write an address. Raises `NoAddress`."""
    return unicodedata.normalize("NFC", on_the_wire(address.strip())).lower()


def is_plain(address: str) -> bool:
    """Whether it is an address alone, without a name (the ``addr-spec`` of RFC 5322)."""
    try:
        return bool(Address(addr_spec=on_the_wire(address)).domain)
    except (ValueError, MessageError, LookupError):
        return False
