"""Plugins that only listen: what was called, and what was to be mailed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from authhost_hookspecs import Message, hookimpl

from authhost.pluginhost.implementations import GUARDED, SPEC_ARGUMENTS

MAILBOX = "authhost-mailbox"
"""The name of the mailbox among the plugins of the kit's own hosts."""


class RecordedHook(NamedTuple):
    """One call of a hook."""

    name: str
    arguments: dict[str, Any]


class RecordedHooks:
    """A plugin that writes down each notification with all its arguments, in order."""

    def __init__(self) -> None:
        self.calls: list[RecordedHook] = []

    @property
    def names(self) -> list[str]:
        """The names of the hooks that were called, in order."""
        return [name for name, _ in self.calls]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self.calls.clear()

    def __iter__(self) -> Iterator[RecordedHook]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> RecordedHook:
        return self.calls[index]


def _record(name: str) -> Callable[..., None]:
    """An implementation with exactly the arguments of the spec: pluggy hands out no others."""
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


for _name in GUARDED:
    setattr(RecordedHooks, _name, _record(_name))


class Mailbox:
    """Sees every message, with its key and link, whichever plugin delivers; takes it where none does."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @hookimpl(wrapper=True)
    def deliver_message(self, message: Message) -> Generator[None, bool | None, bool]:
        """Called by the host."""
        self.messages.append(message)
        yield
        return True

    def key(self) -> str:
        """The key of the newest message. Raises `LookupError` where it has none."""
        if not self.messages or self.messages[-1].key is None:
            raise LookupError("no message with a key has come")
        return self.messages[-1].key
