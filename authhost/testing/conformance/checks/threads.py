"""Check of thread safety that does not depend on chance.

One call is paused at each of its lines in turn while a second call runs to its
end in another thread. A line that several hooks share is tried once. Requests
are real, behind a proxy that knows the thread to which each belongs.
"""

from __future__ import annotations

import ast
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

from sqlalchemy.exc import DBAPIError

from authhost.host import AuthHost
from authhost.pluginhost.hooks import NOTIFICATIONS, VETOES
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.pausable_call import PausableCall
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, dotted, own_nodes
from authhost.testing.scenario import Scenario

OVERLAPPING = NOTIFICATIONS | VETOES
"""The hooks of the contract of which two calls overlap."""
MAX_LINES = 100
"""How many lines of each hook are tried."""
BY_REQUEST = "keep state by request, in a weakref.WeakKeyDictionary"
BLOCKED, HUNG = 0.5, 10.0
"""Seconds after which a call counts as waiting for another one, and as waiting forever."""


def threads(context: CheckContext) -> Iterator[Fault]:
    """Calls in several threads do not use each other's requests and do not wait for each other."""
    yield from _stored_state(context)
    for name, step in context.with_plugin.held_locks.items():
        yield Fault(
            f"{name} is still locked after {step!r} has ended, so the next flow waits forever; "
            f"write `with {name}:`",
            where=acquired_at(context.checked, name),
        )
    if context.with_plugin.held_locks:
        return  # the flows of the next host would wait forever
    with silenced(), context.recorded_host() as (host, mailbox, recorder):
        Scenario(host, mailbox, context.provider).run()
        context.call_published(host)
        calls = {
            call.hook: call
            for call in recorder.calls
            if call.hook in OVERLAPPING or call.hook in context.checked.published
        }
        tried: set[tuple[str, bool]] = set()
        for each in context.checked.marked():
            if each.hook not in calls or each.wrapper:
                continue
            arguments = calls[each.hook].arguments
            overlap = _Overlap(context.checked, host, each.hook, each.function, arguments, tried)
            yield from overlap.faults()


def acquired_at(checked: CheckedPlugin, lock: str) -> str | None:
    """File and line at which the plugin's code acquires the lock with this name."""
    for reached in PluginSource(checked).reached:
        for node in own_nodes(reached.node):
            if isinstance(node, ast.Call) and dotted(node.func).endswith(f"{lock}.acquire"):
                return reached.at(node)
    return None


def _stored_state(context: CheckContext) -> Iterator[Fault]:
    """State of one call that the next call would find, although it belongs to another request."""
    run = context.with_plugin
    for hook, argument, name in dict.fromkeys(
        (call.hook, *stored) for call in run.calls for stored in call.stored_arguments
    ):
        yield Fault(
            f"stores its argument {argument} as {name}, which another thread overwrites; {BY_REQUEST}", hook
        )
    for name, content in run.stored_requests.items():
        yield Fault(f"{name} still holds {content}; {BY_REQUEST}")


class _Overlap:
    """Two calls of one hook that overlap, at each line of the first one."""

    def __init__(
        self,
        checked: CheckedPlugin,
        host: AuthHost,
        hook: str,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        tried: set[tuple[str, bool]],
    ) -> None:
        self.checked, self.host, self.hook = checked, host, hook
        self.function, self.arguments, self.tried = function, arguments, tried
        self.foreign_uses: set[str] = set()
        """Where a thread used the request of another thread."""
        self.usual_errors: set[type] = set()
        """What a call raises that does not overlap with another one."""
        self.counters: dict[str, int] = {}
        """The plugin's counters, with how much two calls add to each."""

    def faults(self) -> Iterator[Fault]:
        """Run one call, a second one, then pairs that overlap."""
        single = self._run_singly()
        if isinstance(single, Fault):
            yield single
            return
        blocked: dict[int, str] = {}
        for number, position in enumerate(single.positions[:MAX_LINES], 1):
            if position in self.tried:
                continue
            self.tried.add(position)
            deadlock = yield from self._run_overlapping(number, blocked)
            if deadlock:
                return
        for location in sorted(self.foreign_uses):
            yield Fault(
                "uses the request of another thread; store no request on the plugin", self.hook, location
            )
        held = sorted(single.request_used_at & blocked.keys())
        if held:
            yield Fault(
                "holds a lock while it uses the request, so all flows of the process wait for each other; "
                "keep state by request, or do this after the commit",
                self.hook,
                blocked[held[0]],
            )

    def _call(self, requests: ExitStack, pause_at: int = 0) -> PausableCall:
        request = requests.enter_context(
            self.host.request(ip_address="127.0.0.1", user_agent="authhost.testing")
        )
        requests.callback(request.rollback)
        return PausableCall(self.checked, self.function, self.arguments, request, pause_at)

    def _run_singly(self) -> PausableCall | Fault:
        """Run two calls, one after the other, and note what is usual. Returns the first one."""
        with ExitStack() as requests:
            numbers = [_numbers(self.checked)]
            single = self._call(requests)
            before = set(threading.enumerate())
            if _hangs(single.start()):
                return Fault("does not return", self.hook)
            for thread in set(threading.enumerate()) - before:
                thread.join(BLOCKED)  # a thread that the hook has started may still use the request
            numbers.append(_numbers(self.checked))
            second = self._call(requests)
            if _hangs(second.start()):
                text = "does not return in a second thread, since it does not release a lock"
                return Fault(text, self.hook)
            numbers.append(_numbers(self.checked))
            self.foreign_uses = single.foreign_uses | second.foreign_uses
            self.usual_errors = {type(single.error), type(second.error)}
        self.counters = _counters(*numbers)
        return single

    def _run_overlapping(self, number: int, blocked: dict[int, str]) -> Generator[Fault, None, bool]:
        """Pause one call at its position ``number`` while another runs. Returns whether both hang."""
        with ExitStack() as requests:
            count = _numbers(self.checked)
            first, second = self._call(requests, number), self._call(requests)
            first_thread = first.start()
            first.paused.wait(HUNG)
            if first.location:
                second_thread = second.start()
                if _is_blocked(second, second_thread):
                    blocked[number] = first.location
                else:
                    second.request.rollback()  # otherwise it keeps the database locked
            first.resume.set()
            if _hangs(first_thread) or (first.location and _hangs(second_thread)):
                yield Fault("two overlapping calls wait for each other forever", self.hook, first.location)
                return True
            self.foreign_uses |= first.foreign_uses | second.foreign_uses
            yield from self._new_errors(first, second)
            if first.location:
                yield from self._lost_counts(count, first.location)
        return False

    def _new_errors(self, *calls: PausableCall) -> Iterator[Fault]:
        for error in (call.error for call in calls):
            if error is not None and type(error) not in self.usual_errors and _is_own_error(error):
                self.usual_errors.add(type(error))
                text = traceback.format_exception_only(error)[-1].strip()
                location = self.checked.location(error.__traceback__)
                yield Fault(f"raised {text} when two calls overlap", self.hook, location)

    def _lost_counts(self, before: dict[str, int], location: str) -> Iterator[Fault]:
        after = _numbers(self.checked)
        for name in [name for name, both in self.counters.items() if after[name] - before[name] < both]:
            del self.counters[name]
            yield Fault(
                f"loses counts of {name} when two calls overlap; change it under a lock", self.hook, location
            )


def _numbers(checked: CheckedPlugin) -> dict[str, int]:
    return {name: value for name, value in checked.attributes().items() if type(value) is int}


def _counters(first: dict[str, int], second: dict[str, int], third: dict[str, int]) -> dict[str, int]:
    """The numbers that each of two calls has increased by the same amount, with the sum of both."""
    both = first.keys() & second.keys() & third.keys()
    return {
        name: third[name] - first[name]
        for name in both
        if first[name] < second[name] and second[name] - first[name] == third[name] - second[name]
    }


def _is_own_error(error: BaseException) -> bool:
    """Whether an error comes from the plugin's code, and not from a database that is locked."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__context__
    return cause is None and type(error).__module__ == "builtins"


def _is_blocked(call: PausableCall, thread: threading.Thread) -> bool:
    """Whether a call makes no progress, as opposed to being slow on a busy machine."""
    progress = -1
    while thread.is_alive() and progress < len(call.positions):
        progress = len(call.positions)
        thread.join(BLOCKED)
    return thread.is_alive()


def _hangs(thread: threading.Thread) -> bool:
    thread.join(HUNG)
    return thread.is_alive()
