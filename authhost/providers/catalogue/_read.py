"""What the readings of profiles share: a document is never trusted to be of the documented types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import ProviderEmail


def number_or_text(value: object) -> str:
    """A subject identifier; raises `ValueError` for what cannot be one."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a subject identifier is a number or a text")


def optional_text(*values: object) -> str | None:
    """The first that is a text and not empty."""
    return next((value for value in values if isinstance(value, str) and value), None)


def full_name(*parts: object) -> str | None:
    """A name of several parts, of which some may be missing."""
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def inner(data: object, *names: str) -> Mapping[str, Any]:
    """The object under ``names``, one inside the other; empty where another value is there.

    Many providers send null where a person has no picture, no name or no e-mail address.
    """
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; empty where another value is there."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def is_true(value: object) -> bool:
    """Whether a flag is set: JSON's ``true``, or the 1 or text that some send in its place."""
    return value in (True, "true")


def one_email(value: object, verified: object = False) -> tuple[ProviderEmail, ...]:
    """The only address of a profile, if there is one. It is verified where the provider says so."""
    address = optional_text(value)
    return (ProviderEmail(address, is_true(verified), primary=True),) if address else ()


def all_emails(
    items: object,
    address: str = "email",
    verified: str = "verified",
    primary: str = "primary",
) -> tuple[ProviderEmail, ...]:
    """A list of addresses, each with its flags, under the provider's names for them."""
    return tuple(
        ProviderEmail(email, is_true(item.get(verified)), is_true(item.get(primary)))
        for item in objects(items)
        if (email := optional_text(item.get(address)))
    )
