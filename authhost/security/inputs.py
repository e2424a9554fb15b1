"""Validates and normalises input, before anything is looked up."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from authhost.errors import InvalidEmail, InvalidInput
from authhost.records import EMAIL_LENGTH, NOTHING_GIVEN, REASON_LENGTH, Given
from authhost.security.characters import INVISIBLE, MAX_SHRINK_FACTOR, is_username

MAX_GIVEN, MAX_GIVEN_LENGTH = 16, 512
"""How many texts an application may give a request, and how long each may be."""
GIVEN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
OWN_COOKIES = ("authhost", "__host-authhost")
"""Beginnings of the names of authhost's own cookies, in lower case."""
NO_COOKIES: Mapping[str, str] = MappingProxyType({})


class Email(NamedTuple):
    """An e-mail address: the form for sending, and the key for comparing."""

    address: str
    key: str


def text(value: object, field: str, longest: int) -> str:
    """Return ``value`` if it is printable text of 1 to ``longest`` characters; raises `InvalidInput`."""
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be text.", field=field)
    if not 0 < len(value) <= longest:
        raise InvalidInput(f"{field} must have 1 to {longest} characters.", field=field)
    if not value.isprintable():
        raise InvalidInput(f"{field} has characters that cannot be used.", field=field)
    return value


def reason(value: object) -> str:
    """Return the reason of a change without surrounding spaces; raises `InvalidInput`."""
    stripped = text(value, "reason", REASON_LENGTH).strip()
    if not stripped:
        raise InvalidInput("reason must not be blank.", field="reason")
    return stripped


def given(values: object) -> Given:
    """Validate the texts that the application gives a request; raises `InvalidInput`, without the values."""
    if values is None:
        return NOTHING_GIVEN
    if not isinstance(values, Mapping):
        raise InvalidInput("given must be a mapping of texts.", field="given")
    if len(values) > MAX_GIVEN:
        raise InvalidInput(f"given can have at most {MAX_GIVEN} texts.", field="given")
    for name, value in values.items():
        if not (isinstance(name, str) and GIVEN_NAME.fullmatch(name)):
            raise InvalidInput(
                "A name in given must have 1 to 64 letters, digits, or the characters _ - . only.",
                field="given",
            )
        if not (isinstance(value, str) and len(value) <= MAX_GIVEN_LENGTH and _is_storable(value)):
            raise InvalidInput(
                f"given[{name!r}] must be text of at most {MAX_GIVEN_LENGTH} characters.", field="given"
            )
    return Given(values)


def cookies(values: object, *tokens: str | None) -> Mapping[str, str]:
    """Return the cookies that plugins may read: not authhost's own, nor one with one of the ``tokens``.

    Raises `InvalidInput`.
    """
    if values is None:
        return NO_COOKIES
    if not isinstance(values, Mapping) or not all(
        isinstance(each, str) for each in (*values, *values.values())
    ):
        raise InvalidInput("cookies must be a mapping of texts.", field="cookies")
    hidden = {each for each in tokens if each}
    return MappingProxyType(
        {
            name: value
            for name, value in values.items()
            if not name.lower().startswith(OWN_COOKIES) and value not in hidden
        }
    )


def _is_storable(value: str) -> bool:
    """Return whether every database can store the text: no NUL (PostgreSQL), and valid Unicode."""
    return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)


def key_of(value: str) -> str:
    """Return the form in which names are compared: NFKC, case-folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def email_key(address: str) -> str:
    """Return the form in which addresses are compared: lower case, the domain in its DNS form (RFC 5891).

    Nothing else is changed: ``faß.de`` and ``fass.de`` are two domains, so their
    mailboxes can belong to two people.
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        import idna

        domain = idna.encode(domain, uts46=True).decode()
    return f"{unicodedata.normalize('NFC', local).lower()}@{domain.lower()}"


def email(value: object) -> Email:
    """Validate and normalise an e-mail address; raises `InvalidEmail`."""
    from email_validator import EmailNotValidError, validate_email

    given = unicodedata.normalize("NFC", text(value, "email", EMAIL_LENGTH * MAX_SHRINK_FACTOR))
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
    """The identifier of a login: the key that is counted, looked up and recorded, and its kind."""

    key: str
    is_email: bool


def identifier(value: object) -> Identifier:
    """Normalise a username or an e-mail address, once for the rate limit, the lookup and the record.

    Surrounding white space is removed: people paste it, and MariaDB ignores it in
    comparisons, while a rate limit does not. Text with an ``@`` that is no valid
    address matches no account. Raises `InvalidInput`.
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
    """Return an IP address in canonical form, without a zone; None for None.

    An IPv4-mapped IPv6 address becomes the IPv4 address (RFC 4291, section
    2.5.5.2): a server that listens on both reports the same client in either
    form. Raises `InvalidInput`.
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


NAT64_PREFIX = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses that a NAT64 translator maps to IPv6 (RFC 6052, section 2.1)."""


def network(address: str) -> str:
    """Return the network that a limit by IP address counts: an IPv4 address, or the /64 of an IPv6 address.

    One customer gets at least a /64, with all its addresses (RFC 6177).
    """
    canonical = ip_address(address) or ""
    if ":" not in canonical:
        return canonical
    found = ipaddress.IPv6Address(canonical)
    if found in NAT64_PREFIX:
        return str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return str(ipaddress.IPv6Network((canonical, 64), strict=False))


def username(value: object, shortest: int, longest: int, scripts: Iterable[str] = ("latin",)) -> str:
    """Return a new username in NFKC; raises `InvalidInput`.

    A name has ``shortest`` to ``longest`` characters, counted after NFKC: letters
    of one of ``scripts``, the digits 0 to 9, and ``.``, ``_`` and ``-``
    (`authhost.security.characters.is_username`). An ``@`` is refused, since it
    distinguishes addresses from usernames at a login. Existing names are not checked again.
    """
    name = unicodedata.normalize("NFKC", text(value, "username", longest * MAX_SHRINK_FACTOR))
    if not shortest <= len(name) <= longest:
        raise InvalidInput(f"username must have {shortest} to {longest} characters.", field="username")
    if not is_username(name, key_of(name), scripts):
        raise InvalidInput(
            "username may have letters, digits, and the characters . _ - alone.", field="username"
        )
    return name


def identifier_key(typed: str) -> str:
    """Return the key of `identifier`; for input that a login refuses, the key of a name."""
    try:
        return identifier(typed).key
    except InvalidInput:
        return key_of(typed)
