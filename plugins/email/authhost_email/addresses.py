"""Addresses, as servers and as authhost compare them."""

from __future__ import annotations

import unicodedata
from email.errors import MessageError
from email.headerregistry import Address

import idna


def on_the_wire(address: str) -> str:
    """With the domain as DNS knows it (RFC 5891), for any server. Raises `ValueError` for no address."""
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError("this is no address")
    return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"


def key(address: str) -> str:
    """The same for all ways to write an address. Raises `ValueError` for what is none."""
    return unicodedata.normalize("NFC", on_the_wire(address.strip())).lower()


def is_plain(address: str) -> bool:
    """Whether it is an address alone, without a name (the ``addr-spec`` of RFC 5322)."""
    try:
        return bool(Address(addr_spec=on_the_wire(address)).domain)
    except (ValueError, MessageError, LookupError):
        return False
