"""Host names and IP addresses: which URLs are secure, and which lead into a private network."""

from __future__ import annotations

import ipaddress
import re
import socket
from enum import IntEnum
from urllib.parse import urlsplit

HTTPS, HTTP = "https://", "http://"
HOST_PATTERN = re.compile(r"[\w:][\w.:-]*")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The prefix under which a translator embeds IPv4 addresses (RFC 6052, section 2.1)."""


class AddressSpace(IntEnum):
    """Where an IP address is reachable from (as in Private Network Access). A higher value is more public."""

    LOOPBACK = 0
    """This machine."""
    PRIVATE = 1
    """A private network: RFC 1918, link-local, shared and reserved addresses."""
    PUBLIC = 2


def host_of(url: str) -> str:
    """Return the host of ``url``, or an empty text if ``url`` is not valid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if the port is not a number
        host = parts.hostname or ""
        return host if HOST_PATTERN.fullmatch(host) else ""
    except ValueError:
        return ""


def address_space(address: str) -> AddressSpace:
    """Return the address space of an IP address; raises ``ValueError`` if it is not one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        embedded = found.ipv4_mapped or found.sixtofour
        if embedded is None and found in NAT64:
            embedded = ipaddress.IPv4Address(found.packed[-4:])
        if embedded is not None:
            return address_space(str(embedded))
    if found.is_loopback or found.is_unspecified:
        return AddressSpace.LOOPBACK
    return AddressSpace.PUBLIC if found.is_global else AddressSpace.PRIVATE


def resolved_address_space(url: str) -> AddressSpace:
    """Resolve the host of ``url``; return the least public address space of its addresses.

    Returns `AddressSpace.PUBLIC` if the host does not resolve.
    """
    try:
        found = socket.getaddrinfo(host_of(url).strip("[]"), None, type=socket.SOCK_STREAM)
        return min((address_space(str(each[4][0])) for each in found), default=AddressSpace.PUBLIC)
    except (OSError, ValueError):
        return AddressSpace.PUBLIC


def names_this_machine(url: str) -> bool:
    """Return whether the host of ``url`` is a spelling of this machine, such as ``127.1`` or ``x.localhost``.

    Accepts more spellings than `is_loopback`, which decides where plain HTTP is
    allowed. Does not resolve names: `Transport` checks the address of the
    connection.
    """
    host = host_of(url).rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return address_space(host) is AddressSpace.LOOPBACK
    except ValueError:
        pass
    try:
        packed = socket.inet_aton(host)  # accepts short forms such as 127.1
        return address_space(socket.inet_ntoa(packed)) is AddressSpace.LOOPBACK
    except (OSError, ValueError):
        return False


def is_loopback(url: str) -> bool:
    """Return whether the host of ``url`` is localhost or a loopback address (RFC 8252, section 8.3)."""
    host = host_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_secure(url: str) -> bool:
    """Return whether ``url`` is HTTPS, or plain HTTP to a loopback address."""
    return bool(host_of(url)) and (url.startswith(HTTPS) or (url.startswith(HTTP) and is_loopback(url)))
