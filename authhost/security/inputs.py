"""What people type: checked and brought into one form before anything is looked up."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from authhost.errors import InvalidEmail, InvalidInput
from authhost.records import EMAIL_LENGTH
from authhost.security.characters import INVISIBLE, SHRINKS, is_username


class Email(NamedTuple):
    """An address as it is written to, and as it is compared."""

    address: str
    key: str


def text(value: object, field: str, longest: int) -> str:
    """``value`` if it is printable text of 1 to ``longest`` characters; raises `InvalidInput`."""
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be text.", field=field)
    if not 0 < len(value) <= longest:
        raise InvalidInput(f"{field} must have 1 to {longest} characters.", field=field)
    if not value.isprintable():
        raise InvalidInput(f"{field} has characters that cannot be used.", field=field)
    return value


def key_of(value: str) -> str:
    """The form in which names are compared: NFKC, without case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def email_key(address: str) -> str:
    """The form in which addresses are compared: without case, the domain as DNS knows it (RFC 5891).

    No more than that: ``faß.de`` and ``fass.de`` are two domains, and their
    mailboxes those of two people.
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        import idna

        domain = idna.encode(domain, uts46=True).decode()
    return f"{unicodedata.normalize('NFC', local).lower()}@{domain.lower()}"


def email(value: object) -> Email:
    """Check and normalise an address; raises `InvalidEmail`."""
    from email_validator import EmailNotValidError, validate_email

    given = unicodedata.normalize("NFC", text(value, "email", EMAIL_LENGTH * SHRINKS))
    if len(given) > EMAIL_LENGTH or not INVISIBLE.isdisjoint(given):
        raise InvalidEmail(field="email")
    try:
        address = validate_email(given, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidEmail(field="email") from error
    if len(address) > EMAIL_LENGTH:
        raise InvalidEmail(field="email")
    return Email(address.lower(), email_key(address))


class Identifier(NamedTuple):
    """What a person typed at a login: the key that is counted, looked up and recorded, and its kind."""

    key: str
    is_email: bool


def identifier(value: object) -> Identifier:
    """Normalise a username or an address, once for the limit, the lookup and the record.

    White space around it is ignored: people paste it, and MariaDB would ignore it
    in a comparison while a limit would not. Text that is no address, but has an
    ``@``, leads to no account. Raises `InvalidInput`.
    """
    given = text(value, "identifier", EMAIL_LENGTH).strip()
    if not given:
        raise InvalidInput("identifier must not be empty.", field="identifier")
    if "@" in given:
        try:
            return Identifier(email(given).key, True)
        except InvalidInput:
            return Identifier(key_of(given).strip(), True)
    return Identifier(key_of(given).strip(), False)


def ip_address(value: object) -> str | None:
    """An IP address in its canonical form, without a zone, or None for None.

    An IPv4-mapped IPv6 address is returned as the IPv4 address (RFC 4291,
    section 2.5.5.2): a server that listens on both names the same client
    either way. Raises `InvalidInput`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            found = ipaddress.ip_address(value.partition("%")[0])
        except ValueError:
            pass
        else:
            return str(getattr(found, "ipv4_mapped", None) or found)
    raise InvalidInput("This is not an IP address.", field="ip_address")


TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 clients behind a translator (RFC 6052, section 2.1)."""


def network(address: str) -> str:
    """What a limit by IP address counts: an IPv4 address, or the /64 of an IPv6 address.

    A /64 is the least that one customer is given, and all its addresses are
    theirs (RFC 6177).
    """
    canonical = ip_address(address) or ""
    if ":" not in canonical:
        return canonical
    found = ipaddress.IPv6Address(canonical)
    if found in TRANSLATED:
        return str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return str(ipaddress.IPv6Network((canonical, 64), strict=False))


def username(value: object, shortest: int, longest: int, scripts: Iterable[str] = ("latin",)) -> str:
    """Return a new username in NFKC; raises `InvalidInput`.

    A name has ``shortest`` to ``longest`` characters, counted after NFKC: letters
    of one of ``scripts``, the digits 0 to 9, and ``.``, ``_`` and ``-``
    (`authhost.security.characters.is_username`). An ``@`` is refused, since a login tells
    names and addresses apart by it. Names that exist are not checked again.
    """
    name = unicodedata.normalize("NFKC", text(value, "username", longest * SHRINKS))
    if not shortest <= len(name) <= longest:
        raise InvalidInput(f"username must have {shortest} to {longest} characters.", field="username")
    if not is_username(name, key_of(name), scripts):
        raise InvalidInput(
            "username may have letters, digits, and the characters . _ - alone.", field="username"
        )
    return name


def identifier_key(typed: str) -> str:
    """Return the key of `identifier`; of what a login refuses unread, the form of a name."""
    try:
        return identifier(typed).key
    except InvalidInput:
        return key_of(typed)
