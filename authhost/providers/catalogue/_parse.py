"""Helpers for `read_profile`. None relies on a value having the type that the provider documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import ProviderEmail


def subject_id(value: object) -> str:
    """Return a subject identifier as text; raises ``ValueError`` if ``value`` is not a text or an integer."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a subject identifier must be a text or an integer")


def optional_text(*values: object) -> str | None:
    """Return the first value that is a text and not empty, or None."""
    return next((value for value in values if isinstance(value, str) and value), None)


def full_name(*parts: object) -> str | None:
    """Return the parts of a name, joined by spaces. Parts that are missing are skipped."""
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def nested_object(data: object, *names: str) -> Mapping[str, Any]:
    """Return the object at the path ``names``, or an empty one if another value is there.

    Many providers send null if a person has no picture, name or e-mail address.
    """
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def object_list(value: object) -> list[Mapping[str, Any]]:
    """Return the objects in a list, or an empty list if ``value`` is not a list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def is_true(value: object) -> bool:
    """Return whether a flag is set: ``true`` in JSON; some providers send 1 or ``"true"`` instead."""
    return value in (True, "true")


def single_email(value: object, verified: object = False) -> tuple[ProviderEmail, ...]:
    """Return the only e-mail address of a profile, or nothing. ``verified`` is the provider's flag."""
    address = optional_text(value)
    return (ProviderEmail(address, is_true(verified), primary=True),) if address else ()


def email_list(
    items: object,
    address: str = "email",
    verified: str = "verified",
    primary: str = "primary",
) -> tuple[ProviderEmail, ...]:
    """Return the e-mail addresses in a list of objects. The arguments are the provider's field names."""
    return tuple(
        ProviderEmail(email, is_true(item.get(verified)), is_true(item.get(primary)))
        for item in object_list(items)
        if (email := optional_text(item.get(address)))
    )
