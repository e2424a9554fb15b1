"""A plugin that records which notifications a host called, with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from authhost_hookspecs import hookimpl

from authhost.pluginhost.hooks import NOTIFICATIONS, SPEC_ARGUMENTS


class RecordedHook(NamedTuple):
    """One call of a hook."""

    name: str
    arguments: dict[str, Any]


class RecordedHooks:
    """A plugin that records each notification with all its arguments, in order."""

    def __init__(self) -> None:
        self.calls: list[RecordedHook] = []

    @property
    def names(self) -> list[str]:
        """The names of the hooks that were called, in order."""
        return [name for name, _ in self.calls]

    def clear(self) -> None:
        """Delete what was recorded so far."""
        self.calls.clear()

    def __iter__(self) -> Iterator[RecordedHook]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> RecordedHook:
        return self.calls[index]


def _implementation(name: str) -> Callable[..., None]:
    """An implementation with exactly the arguments of the spec, since pluggy passes only named arguments."""
    arguments = SPEC_ARGUMENTS[name]
    namespace: dict[str, Any] = {"RecordedHook": RecordedHook}
    pairs = ", ".join(f"{each!r}: {each}" for each in arguments)
    exec(  # noqa: S102
        f"def {name}(self, {', '.join(arguments)}):\n"
        f"    self.calls.append(RecordedHook({name!r}, {{{pairs}}}))",
        namespace,
    )
    function: Callable[..., None] = namespace[name]
    function.__module__ = __name__
    return hookimpl(function)


for _name in NOTIFICATIONS:
    setattr(RecordedHooks, _name, _implementation(_name))
