"""Validates the values of a settings dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar

from authhost.errors import ConfigurationError

T = TypeVar("T")


def validated(kind: type[T], values: Mapping[str, Any], owner: str = "") -> T:
    """Return an instance of the dataclass ``kind``; raises `ConfigurationError` for a wrong name or value.

    ``owner`` is the owner of the settings, for the message. The message contains
    no values, since they may be secret.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise ConfigurationError(
                f"{owner or 'authhost'} has no setting {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")
            )
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        found = "; ".join(map(_message, error.errors()))
        raise ConfigurationError(f"a setting{owner and f' of {owner}'} is not valid: {found}") from None


def _message(error: Mapping[str, Any]) -> str:
    """Return the message of a pydantic error. The message of an error in ``__post_init__`` is not changed."""
    own = error.get("ctx", {}).get("error")
    message = (str(own) or type(own).__name__) if isinstance(own, Exception) else error["msg"]
    return ": ".join(filter(None, (".".join(map(str, error["loc"])), message)))
