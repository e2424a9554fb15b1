"""Checks of the value that an implementation returns: whether its body has run at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any


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
