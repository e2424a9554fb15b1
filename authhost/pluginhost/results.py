"""Checks of the value that an implementation returns: whether its body has run at all."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from authhost.records import thawed

Value = TypeVar("Value")


class UnusableResult(TypeError):
    """The result shows that the implementation did not do its work. The text contains no secret."""


def check_ran(result: Any) -> None:
    """Raise `UnusableResult` for a coroutine or a generator: the body of the function has not run."""
    if not issubclass(type(result), Coroutine | Generator | AsyncGenerator):
        return
    if not isinstance(result, AsyncGenerator):
        result.close()  # otherwise Python warns that the coroutine was never awaited
    raise UnusableResult(f"it returned a {type(result).__name__}, whose body does not run")


def check_delivered(result: Any) -> None:
    """Check the result of a delivery: it must be known on return, so an awaitable is refused, too."""
    check_ran(result)
    if hasattr(type(result), "__await__"):
        raise UnusableResult(f"it returned a {type(result).__name__}, which nobody awaits")


def check_nothing(result: Any) -> None:
    """Check the result of a veto other than None. Every one is a mistake: it does not refuse anything."""
    check_ran(result)
    raise UnusableResult(f"it returned a {type(result).__name__}; a veto raises Refused, or returns None")


def usable(hook: str, result: Any, kind: type[Value]) -> Iterator[Value]:
    """Yield the values of ``kind`` that a function registered with ``hook`` returned.

    Raises `UnusableResult` for the others: after the last value, so that a wrong value
    does not hide the right ones.
    """
    if not isinstance(result, Iterable):
        if isinstance(result, Coroutine):
            result.close()  # otherwise Python warns that the coroutine was never awaited
        raise UnusableResult(f"{hook}: it returned {_a(result)}, not {kind.__name__} values")
    wrong: list[Any] = []
    for each in result:
        if isinstance(each, kind):
            yield each
        elif not wrong:
            wrong.append(each)
    if wrong:
        raise UnusableResult(f"{hook}: it yielded {_a(wrong[0])}, not a {kind.__name__}")


def _a(value: object) -> str:
    """Return the name of the value's class with its article. The value itself may be a secret."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def function_name(function: object) -> str:
    """Return the name of a function that a plugin registered, for messages."""
    name = str(getattr(function, "__name__", ""))
    return name if name.isprintable() and name else type(function).__name__


def as_count(result: Any) -> int:
    """Return a number that is not negative, 0 for None; raise `UnusableResult` for anything else."""
    check_ran(result)
    if result is None:
        return 0
    if type(result) is not int or result < 0:
        raise UnusableResult(f"it returned {_a(result)}, not a number of at least 0")
    return result


def as_json(result: Any) -> dict[str, Any]:
    """Return the result of an export as plain values for JSON; raise `UnusableResult` if it is none."""
    check_ran(result)
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        raise UnusableResult(f"it returned a {type(result).__name__}, not a mapping")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(thawed(result), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UnusableResult(f"its result cannot be written as JSON: {type(error).__name__}") from None
    return copy
