"""Check of the state that the whole process shares, and of threads."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from authhost.host import AuthHost
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.memory import kept_in_memory
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.process_state import changed_state, process_state
from authhost.testing.conformance.report import Fault
from authhost.testing.host import PASSWORD

CHANGED_BY_NOBODY_ELSE = ("authhost.", "the environment", "the working folder", "logging.disable")
"""State that only the plugin can change between two checks. pytest changes log handlers, for example."""
THREAD_TIMEOUT = 1.0
"""Seconds in which a thread must end."""


def process(context: CheckContext) -> Iterator[Fault]:
    """It does not change what the whole process shares, and its threads end with the host."""
    reported = set()
    for call in context.with_plugin.calls:
        for name in call.changed_state:
            if (call.hook, name) not in reported:
                reported.add((call.hook, name))
                yield Fault(f"changes {name}, which the whole process shares", call.hook)
    for name in changed_state(context.state_at_start, process_state()):
        if name.startswith(CHANGED_BY_NOBODY_ELSE) and name not in {each for _, each in reported}:
            yield Fault(f"changes {name}, which the whole process shares")
    yield from _running_threads(context)
    yield from _kept_hosts(context)


def _running_threads(context: CheckContext) -> Iterator[Fault]:
    before = set(threading.enumerate())
    with (
        silenced(),
        context.recorded_host(email_verification="none") as (host, _, _),
        host.request() as request,
    ):
        host.account.signup(request, email="eve@example.org", password=PASSWORD)
    for thread in set(threading.enumerate()) - before:
        thread.join(THREAD_TIMEOUT)
        if thread.is_alive():
            location = context.checked.location(sys._current_frames().get(thread.ident or 0))
            yield Fault(
                f"thread {thread.name} still runs after the host has closed; end it in host_stopping",
                where=location,
            )


def _kept_hosts(context: CheckContext) -> Iterator[Fault]:
    """Files and hosts that stay after each host that closes: each further one must leave nothing."""
    _use_a_host(context)
    before = _open_files()
    _use_a_host(context)
    between = _open_files()
    host = _use_a_host(context)
    location = context.checked.definition("host_started")
    grown = (between - before) & (_open_files() - between)
    for target in sorted(grown):
        yield Fault(
            f"leaves {target} open for each host that closes; close it in host_stopping",
            "host_started" if location else None,
            location,
        )
    for name, value in kept_in_memory(context.checked):
        items = [*value, *(value.values() if isinstance(value, dict) else ())] if _is_plain(value) else ()
        if any(each is host for each in items):
            yield Fault(
                f"{name} still has a host that has closed; delete it in host_stopping, or use a "
                "WeakKeyDictionary",
                "host_started" if location else None,
                location,
            )


def _is_plain(value: object) -> bool:
    return isinstance(value, dict | list | set)


def _use_a_host(context: CheckContext) -> AuthHost:
    with silenced(), context.recorded_host(email_verification="none") as (host, _, recorder):
        with host.request() as request:
            host.account.signup(request, email="eve@example.org", password=PASSWORD)
        recorder.calls = []
    gc.collect()
    return host


def _open_files() -> Counter[str]:
    """How many files and sockets are open, without databases; empty where the system has no list."""
    found: Counter[str] = Counter()
    folder = Path("/proc/self/fd")
    for each in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # the one that lists the folder
            target = os.readlink(each)
            if ".sqlite3" not in target and not target.startswith("anon_inode"):
                found[target.replace("socket", "a socket").partition(":[")[0]] += 1
    return found
