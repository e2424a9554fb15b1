"""State that all code in one process shares, and what has changed between two moments."""

from __future__ import annotations

import locale
import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import is_
from types import FunctionType
from typing import Any

LOGGERS = ("root", "authhost", "authhost.plugins", "sqlalchemy.engine")
CODE = "the code of authhost"

State = Mapping[str, Any]


def process_state() -> State:
    """The state of the process now, by names that reports can show."""
    found: dict[str, Any] = {f"the environment variable {key}": os.environ[key] for key in os.environ}
    found |= {
        "the working folder": os.getcwd(),
        "sys.path": tuple(sys.path),
        "sys.excepthook": sys.excepthook,
        "the locale": locale.setlocale(locale.LC_ALL),
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "logging.disable": logging.root.manager.disable,
    }
    for name in LOGGERS:
        logger = logging.root if name == "root" else logging.getLogger(name)
        configuration = logger.level, logger.disabled, logger.propagate, tuple(logger.handlers)
        found[f"the logger {name}"] = configuration
    return found | {CODE: [(path, dict(vars(holder))) for path, holder in _modules_and_classes()]}


def _modules_and_classes() -> list[tuple[str, Any]]:
    """All imported modules and classes of authhost, by their full names."""
    modules = [name for name in list(sys.modules) if name.partition(".")[0] == "authhost"]
    if len(_classes_by_module) != len(modules):
        _classes_by_module.clear()
        _classes_by_module.update((name, list(_classes(name))) for name in modules)
    return [holder for name in modules for holder in ((name, sys.modules[name]), *_classes_by_module[name])]


_classes_by_module: dict[str, list[tuple[str, type]]] = {}
"""A cache: the state is read before and after each call of a hook."""


def _classes(module: str) -> Iterator[tuple[str, type]]:
    for name, value in vars(sys.modules[module]).items():
        if isinstance(value, type) and value.__module__ == module:
            yield f"{module}.{name}", value


def changed_state(before: State, after: State) -> list[str]:
    """The names of what differs between two states. A newly imported module is no difference."""
    shared = [name for name in before if name != CODE and after.get(name) != before[name]]
    added = (name for name in after.keys() - before.keys() if name.startswith("the environment"))
    names = (name for name in (*shared, *added) if not name.endswith("PYTEST_CURRENT_TEST"))
    return sorted((*names, *_patched(before[CODE], dict(after[CODE]))))


def _patched(before: Sequence[tuple[str, State]], after: Mapping[str, State]) -> Iterator[str]:
    """Functions and methods that were replaced, and methods that were added over inherited ones."""
    for path, old in before:
        new = after.get(path, old)
        if len(old) == len(new) and all(map(is_, old.values(), new.values())):
            continue
        for name in old.keys() | new.keys():
            was, now = old.get(name), new.get(name)
            # Only a class has __module__ among its attributes; a module does not.
            overrides = "__module__" in old and isinstance(now, FunctionType)
            if was is not now and (isinstance(was, FunctionType) or overrides):
                yield f"{path}.{name}"


@contextmanager
def exit_prevented() -> Iterator[None]:
    """Make ``os._exit`` raise ``SystemExit``, since no ``except`` would see it end the process."""
    original, own_pid = os._exit, os.getpid()

    def refuse(status: int) -> Any:
        if os.getpid() != own_pid:
            original(status)  # a forked child may exit
        raise SystemExit(f"os._exit({status}) ends the whole process")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = original
