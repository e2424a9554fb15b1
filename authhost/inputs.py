"""What people type: checked and brought into one form before anything is looked up."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from authhost.errors import InvalidEmail, InvalidInput
from authhost.store.tables import EMAIL_LENGTH


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

    given = text(value, "email", EMAIL_LENGTH)
    try:
        address = validate_email(given, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidEmail(field="email") from error
    if len(address) > EMAIL_LENGTH:
        raise InvalidEmail(field="email")
    return Email(address.lower(), email_key(address))


def username(value: object, shortest: int, longest: int) -> str:
    """Check a username; an ``@`` is refused, since a login tells names and addresses apart by it."""
    name = unicodedata.normalize("NFKC", text(value, "username", longest))
    if len(name) < shortest or len(name) > longest or name != name.strip() or "@" in name:
        raise InvalidInput(
            f"username must have {shortest} to {longest} characters and no @.", field="username"
        )
    return name


def identifier_key(typed: str) -> str:
    """Return the form in which a login looks up what was typed: that of an address, or that of a name.

    Text with an ``@`` that is no address has the form of a name; no account has it.
    """
    if "@" not in typed:
        return key_of(typed)
    try:
        return email(typed).key
    except InvalidInput:
        return key_of(typed)
