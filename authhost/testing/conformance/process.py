"""Check of what all that runs in one process shares: a plugin leaves it as it is."""

from __future__ import annotations

import locale
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import is_
from types import FunctionType
from typing import TYPE_CHECKING, Any

from authhost.store.tables import metadata as core
from authhost.testing.conformance.report import Fault
from authhost.testing.stage import PASSWORD

if TYPE_CHECKING:
    from authhost.testing.conformance.trial import Trial

LOGGERS = ("root", "authhost", "authhost.plugins", "sqlalchemy.engine")
LASTING = ("authhost.", "the environment", "the working folder", "logging.disable")
"""What nobody else changes between two checks; pytest does so with the handlers."""
LATE = 1.0
"""Seconds that a thread has to end."""
CODE = "the code of authhost"

State = Mapping[str, Any]


def state() -> State:
    """What is the same for everybody in the process, by names that a person understands."""
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
        told = logger.level, logger.disabled, logger.propagate, tuple(logger.handlers)
        found[f"the logger {name}"] = told
    return found | {CODE: [(path, dict(vars(holder))) for path, holder in _holders()]}


def _holders() -> list[tuple[str, Any]]:
    """The modules and classes of authhost by their full names."""
    modules = [name for name in list(sys.modules) if name.partition(".")[0] == "authhost"]
    if len(_known) != len(modules):
        _known.clear()
        _known.update((name, list(_classes(name))) for name in modules)
    return [holder for name in modules for holder in ((name, sys.modules[name]), *_known[name])]


_known: dict[str, list[tuple[str, type]]] = {}
"""The classes of each module: they are asked for around each call."""


def _classes(module: str) -> Iterator[tuple[str, type]]:
    for name, value in vars(sys.modules[module]).items():
        if isinstance(value, type) and value.__module__ == module:
            yield f"{module}.{name}", value


def changes(before: State, after: State) -> list[str]:
    """What is not as it was. Modules that were imported meanwhile are nothing to tell of."""
    shared = [name for name in before if name != CODE and after.get(name) != before[name]]
    added = (name for name in after.keys() - before.keys() if name.startswith("the environment"))
    told = (name for name in (*shared, *added) if not name.endswith("PYTEST_CURRENT_TEST"))
    return sorted((*told, *_patched(before[CODE], dict(after[CODE]))))


def _patched(before: Sequence[tuple[str, State]], after: Mapping[str, State]) -> Iterator[str]:
    """Functions and methods that are others than before, and methods that were put over inherited ones."""
    for path, old in before:
        new = after.get(path, old)
        if len(old) == len(new) and all(map(is_, old.values(), new.values())):
            continue
        for name in old.keys() | new.keys():
            was, now = old.get(name), new.get(name)
            put_over = "__module__" in old and isinstance(now, FunctionType)  # a class has one, a module not
            if was is not now and (isinstance(was, FunctionType) or put_over):
                yield f"{path}.{name}"


@contextmanager
def survived() -> Iterator[None]:
    """Nobody ends the process by ``os._exit``, which no ``except`` would see."""
    end, here = os._exit, os.getpid()

    def refused(status: int) -> Any:
        if os.getpid() != here:
            end(status)  # of a child
        raise SystemExit(f"os._exit({status}) ends the whole process")

    os._exit = refused
    try:
        yield
    finally:
        os._exit = end


def process(trial: Trial) -> Iterator[Fault]:
    """It leaves what the whole process shares as it is, and its threads end with the host."""
    named = set()
    for call in trial.within.calls:
        for name in call.process:
            if (call.hook, name) not in named:
                named.add((call.hook, name))
                yield Fault(f"changes {name} for all that runs in this process", call.hook)
    for name in changes(trial.process, state()):
        if name.startswith(LASTING) and name not in {each for _, each in named}:
            yield Fault(f"changes {name} for all that runs in this process")
    yield from _threads(trial)


def _threads(trial: Trial) -> Iterator[Fault]:
    from authhost.testing.conformance.trial import quiet

    running = set(threading.enumerate())
    with quiet(), trial.watched(email_verification="none") as (host, _, _), host.request() as request:
        host.account.signup(request, email="eve@example.org", password=PASSWORD)
    for thread in set(threading.enumerate()) - running:
        thread.join(LATE)
        if thread.is_alive():
            place = trial.subject.place(sys._current_frames().get(thread.ident or 0))
            yield Fault(f"thread {thread.name} runs on after the host; end it in host_stopping", where=place)


# The host's own tables.

WRITES = re.compile(r"\s*(?:insert\s+into|update|delete\s+from)\s+[\"`]?(\w+)", re.IGNORECASE)


def written(statement: str) -> str | None:
    """The table of the host that a statement writes to."""
    match = WRITES.match(statement)
    return match[1] if match and match[1] in core.tables else None
