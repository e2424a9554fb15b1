"""Check of the state that the whole process shares, and of threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

from authhost.testing.conformance.context import CheckContext
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
