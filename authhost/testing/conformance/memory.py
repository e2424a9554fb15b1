"""What a plugin keeps in memory: the sizes of its collections, and its locks."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from authhost.testing.conformance.checked_plugin import CheckedPlugin

COLLECTIONS = (list, dict, set, deque, WeakKeyDictionary, WeakValueDictionary, WeakSet)
LOCKS = (type(threading.Lock()), type(threading.RLock()))
MAX_DEPTH = 4
MAX_ITEMS = 1000
RELEASE_TIMEOUT = 0.5
"""Seconds in which a thread of the plugin may release a lock."""


def kept_in_memory(checked: CheckedPlugin) -> Iterator[tuple[str, Any]]:
    """What the attributes of the plugin, its class and its module lead to, by a path of names."""
    seen: set[int] = set()
    waiting = [(name, value, 0) for name, value in checked.attributes().items() if not name.startswith("__")]
    while waiting:
        name, value, depth = waiting.pop(0)
        if id(value) in seen or isinstance(
            value, ModuleType | FunctionType | str | bytes | int | float | type(None)
        ):
            continue
        seen.add(id(value))
        yield name, value
        if depth == MAX_DEPTH:
            continue
        if isinstance(value, dict | WeakKeyDictionary | WeakValueDictionary):
            inside = list(value.values())[:MAX_ITEMS]
            waiting.extend((f"{name}[…]", each, depth + 1) for each in inside)
        elif isinstance(value, list | tuple | deque):
            waiting.extend((f"{name}[…]", each, depth + 1) for each in list(value)[:MAX_ITEMS])
        elif not isinstance(value, type) and checked.owns(_file_of(type(value))):
            inner = getattr(value, "__dict__", {})
            waiting.extend((f"{name}.{key}", each, depth + 1) for key, each in list(inner.items()))


def _file_of(kind: type) -> str:
    import sys

    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")


def sizes_in_memory(checked: CheckedPlugin) -> dict[str, int]:
    """The sizes of the plugin's collections. Those of one path count together."""
    gc.collect()
    found: dict[str, int] = {}
    for name, value in kept_in_memory(checked):
        if isinstance(value, COLLECTIONS) and not (isinstance(value, deque) and value.maxlen is not None):
            found[name] = found.get(name, 0) + len(value)
    return found


def released_locks(checked: CheckedPlugin) -> list[str]:
    """The names of the plugin's locks that are still locked. They are released, so that flows go on."""
    return [
        name for name, value in kept_in_memory(checked) if isinstance(value, LOCKS) and _was_locked(value)
    ]


def _was_locked(lock: Any) -> bool:
    held = True

    def try_lock() -> None:
        nonlocal held
        if lock.acquire(timeout=RELEASE_TIMEOUT):
            held = False
            lock.release()

    # In a thread of its own, since the thread that holds an RLock can always acquire it.
    if isinstance(lock, LOCKS[0]) and not lock.locked():
        return False
    thread = threading.Thread(target=try_lock)
    thread.start()
    thread.join()
    if held:
        with suppress(RuntimeError):  # another thread holds it
            lock.release()
    return held
