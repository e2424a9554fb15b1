"""One recorded call of a hook, and the call that the current thread is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authhost.testing.conformance.checked_plugin import CheckedPlugin


@dataclass(slots=True)
class HookCall:
    """One call of one hook of the plugin."""

    hook: str
    arguments: dict[str, Any]
    nanoseconds: int = 0
    error: BaseException | None = None
    """What the hook raised, except `Refused` and `StopFlow`."""
    returned: Any = None
    changed_arguments: tuple[str, ...] = ()
    """Arguments that were different after the call."""
    changed_state: tuple[str, ...] = ()
    """State of the whole process that was different after the call."""
    side_effects: dict[str, str | None] = field(default_factory=dict)
    """What left the process before the commit, with file and line of the plugin."""
    host_tables: dict[str, str | None] = field(default_factory=dict)
    """The host's own tables that the hook wrote to, with file and line of the plugin."""
    emptied_tables: set[str] = field(default_factory=set)
    """The tables from which a statement without a condition has deleted all rows."""
    other_host: str | None = None
    """File and line at which it used the database of a host that is not the request's."""
    stored_arguments: tuple[tuple[str, str], ...] = ()
    """Arguments that the plugin stored on itself, each with the attribute's name."""
    callback_nanoseconds: int = 0
    """Time that its `Request.on_commit` callbacks took."""
    callback_error: BaseException | None = None
    """What such a callback raised."""


_current = threading.local()


def current_call() -> tuple[CheckedPlugin, HookCall] | None:
    """The innermost call that the current thread is in, with its plugin."""
    found: tuple[CheckedPlugin, HookCall] | None = getattr(_current, "call", None)
    return found


@contextmanager
def entered(plugin: CheckedPlugin, call: HookCall) -> Iterator[None]:
    """Make ``call`` the current one of this thread."""
    outer = current_call()
    _current.call = plugin, call
    try:
        yield
    finally:
        _current.call = outer
