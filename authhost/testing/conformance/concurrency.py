"""Checks of threads, without luck: one call is halted before each of its lines while another runs through.

Each line of the plugin is halted at once, in the first hook that comes by. The
requests are real, behind a face that knows which thread they belong to.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from authhost.discovery import GUARDED, VETOES
from authhost.guard import FAILURES
from authhost.host import AuthHost
from authhost.request import Request
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.subject import IMPL, Subject
from authhost.testing.conformance.trial import Trial, quiet
from authhost.testing.life import Life

LINES = 60
"""Of each hook no more are halted at."""
BLOCKED, HUNG = 0.5, 10.0
"""Seconds after which a call is taken to wait for another, and for ever."""


@dataclass(eq=False)
class _Use:
    """One call of a hook in a thread of its own, which can be halted."""

    subject: Subject
    function: Callable[..., Any]
    arguments: dict[str, Any]
    request: Request
    halt_at: int = 0
    places: list[str] = field(default_factory=list)
    """The lines that it came by, in order."""
    place: str = ""
    """Where it is halted."""
    used_at: set[int] = field(default_factory=set)
    """Before which lines the request, or anything else it was handed, was used."""
    strangers: set[str] = field(default_factory=set)
    """Where another thread has used the request of this one."""
    database: bool = False
    halted: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        """Call it."""
        thread = threading.Thread(target=self._run, daemon=True)
        self.owner = thread
        thread.start()
        return thread

    def _run(self) -> None:
        given = {
            name: _Face(self, self.request) if name == "request" else value
            for name, value in self.arguments.items()
        }
        sys.settrace(self._trace)
        try:
            with suppress(*FAILURES):
                self.function(*given.values())
        finally:
            sys.settrace(None)
            self.halted.set()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not self.subject.owns(frame.f_code.co_filename):
            return None
        frame.f_trace = self._line
        return self._line

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            if len(self.places) == self.halt_at and not self.database:
                self.place = self.places[-1]
                self.halted.set()
                self.go_on.wait(HUNG)
        return self._line

    def used(self, name: str) -> None:
        """Its request was used."""
        if threading.current_thread() is not self.owner:
            self.strangers.add(self.subject.place(sys._getframe()) or "?")
        self.used_at.add(len(self.places))
        self.database = self.database or name == "db"


class _Face:
    """A request that tells of its use."""

    def __init__(self, use: _Use, request: Request) -> None:
        object.__setattr__(self, "_use", use)
        object.__setattr__(self, "_request", request)

    def __getattr__(self, name: str) -> Any:
        self._use.used(name)
        return getattr(self._request, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._request, name, value)


def threads(trial: Trial) -> Iterator[Fault]:
    """Calls in several threads do not touch each other's requests, and none waits for another."""
    with quiet(), trial.watched() as (host, mailbox, watched):
        Life(host, mailbox, trial.provider).live()
        calls = {call.hook: call for call in watched.calls if call.hook in GUARDED | VETOES}
        tried: set[str] = set()
        for hook, function in trial.subject.implementations.items():
            if hook not in calls or getattr(function, IMPL)["wrapper"]:
                continue
            yield from _interleaved(trial.subject, host, hook, function, calls[hook].arguments, tried)


def _interleaved(
    subject: Subject,
    host: AuthHost,
    hook: str,
    function: Callable[..., Any],
    arguments: dict[str, Any],
    tried: set[str],
) -> Iterator[Fault]:
    def use(requests: ExitStack, halt_at: int = 0) -> _Use:
        request = host.request(ip_address="127.0.0.1", user_agent="authhost.testing")
        requests.callback(request.rollback)
        return _Use(subject, function, arguments, request, halt_at)

    with ExitStack() as requests:
        alone = use(requests)
        before = set(threading.enumerate())
        if _hangs(alone.start()):
            yield Fault("does not come back", hook)
            return
        for thread in set(threading.enumerate()) - before:
            thread.join(BLOCKED)  # what it has started may still use the request
        again = use(requests)
        if _hangs(again.start()):
            yield Fault("does not come back in a second thread: it leaves a lock locked", hook)
            return
        strangers = alone.strangers | again.strangers
    waited: dict[int, str] = {}
    for line, place in enumerate(alone.places[:LINES], 1):
        if place in tried:
            continue
        tried.add(place)
        with ExitStack() as requests:
            first, second = use(requests, line), use(requests)
            one = first.start()
            first.halted.wait(HUNG)
            if first.place:
                other = second.start()
                other.join(BLOCKED)
                if other.is_alive():
                    waited[line] = first.place
            first.go_on.set()
            if _hangs(one) or (first.place and _hangs(other)):
                yield Fault("two calls at once wait for each other for ever", hook, first.place)
                return
            strangers |= first.strangers | second.strangers
    for place in sorted(strangers):
        yield Fault("uses the request of another thread; keep no request on the plugin", hook, place)
    held = sorted(alone.used_at & waited.keys())
    if held:
        yield Fault(
            "holds a lock while it uses the request: all flows of the process wait for each other; "
            "keep state by request, or do it after the commit",
            hook,
            waited[held[0]],
        )


def _hangs(thread: threading.Thread) -> bool:
    thread.join(HUNG)
    return thread.is_alive()
