"""Checks of threads, without luck: one call is halted at each of its lines while another runs through.

Each line of the plugin is halted at once, in the first hook that comes by. The
requests are real, behind a face that knows which thread they belong to.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy.exc import DBAPIError

from authhost.errors import PLUGIN_FAILURES
from authhost.host import AuthHost
from authhost.pluginhost.implementations import GUARDED, VETOES
from authhost.request import Request
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.subject import Subject
from authhost.testing.conformance.trial import Trial, quiet
from authhost.testing.life import Life

LINES = 100
"""Of each hook no more are halted at."""
BY_REQUEST = "keep state by request, in a weakref.WeakKeyDictionary"
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
    places: list[tuple[str, bool]] = field(default_factory=list)
    """The lines that it came by, in order, and whether it is within one, at a use of the request."""
    place: str = ""
    """Where it is halted."""
    used_at: set[int] = field(default_factory=set)
    """Before which lines the request, or anything else it was handed, was used."""
    strangers: set[str] = field(default_factory=set)
    """Where another thread has used the request of this one."""
    error: BaseException | None = None
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
            self.function(*given.values())
        except PLUGIN_FAILURES as error:
            self.error = error
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
            self._come_by(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}", within=False)
        return self._line

    def _come_by(self, place: str, *, within: bool) -> None:
        self.places.append((place, within))
        if len(self.places) == self.halt_at and not self.database:
            self.place = place
            self.halted.set()
            self.go_on.wait(HUNG)

    def used(self, name: str) -> None:
        """Its request was used."""
        place = self.subject.place(sys._getframe()) or "?"
        self.used_at.add(len(self.places))
        if threading.current_thread() is self.owner:
            self._come_by(place, within=True)
            self.used_at.add(len(self.places))
        else:
            self.strangers.add(place)
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
    yield from _kept(trial)
    with quiet(), trial.watched() as (host, mailbox, watched):
        Life(host, mailbox, trial.provider).live()
        calls = {call.hook: call for call in watched.calls if call.hook in GUARDED | VETOES}
        tried: set[tuple[str, bool]] = set()
        for each in trial.subject.marked():
            if each.hook not in calls or each.wrapper:
                continue
            arguments = calls[each.hook].arguments
            yield from _interleaved(trial.subject, host, each.hook, each.function, arguments, tried)


def _kept(trial: Trial) -> Iterator[Fault]:
    """What the next call would find, whoever's it is."""
    for hook, argument, name in dict.fromkeys(
        (call.hook, *kept) for call in trial.within.calls for kept in call.kept
    ):
        yield Fault(
            f"keeps its argument {argument} as {name}, where another thread puts its own; {BY_REQUEST}", hook
        )
    for name, what in trial.within.kept.items():
        yield Fault(f"{name} still has {what}; {BY_REQUEST}")


def _interleaved(
    subject: Subject,
    host: AuthHost,
    hook: str,
    function: Callable[..., Any],
    arguments: dict[str, Any],
    tried: set[tuple[str, bool]],
) -> Iterator[Fault]:
    def use(requests: ExitStack, halt_at: int = 0) -> _Use:
        request = requests.enter_context(host.request(ip_address="127.0.0.1", user_agent="authhost.testing"))
        requests.callback(request.rollback)
        return _Use(subject, function, arguments, request, halt_at)

    with ExitStack() as requests:
        numbers = [_numbers(subject)]
        alone = use(requests)
        before = set(threading.enumerate())
        if _hangs(alone.start()):
            yield Fault("does not come back", hook)
            return
        for thread in set(threading.enumerate()) - before:
            thread.join(BLOCKED)  # what it has started may still use the request
        numbers.append(_numbers(subject))
        again = use(requests)
        if _hangs(again.start()):
            yield Fault("does not come back in a second thread: it leaves a lock locked", hook)
            return
        numbers.append(_numbers(subject))
        strangers = alone.strangers | again.strangers
        usual = {type(alone.error), type(again.error)}
    counted = _counted(*numbers)
    waited: dict[int, str] = {}
    for line, at in enumerate(alone.places[:LINES], 1):
        if at in tried:
            continue
        tried.add(at)
        with ExitStack() as requests:
            count = _numbers(subject)
            first, second = use(requests, line), use(requests)
            one = first.start()
            first.halted.wait(HUNG)
            if first.place:
                other = second.start()
                if _waits(second, other):
                    waited[line] = first.place
                else:
                    second.request.rollback()  # else it has the database for itself
            first.go_on.set()
            if _hangs(one) or (first.place and _hangs(other)):
                yield Fault("two calls at once wait for each other for ever", hook, first.place)
                return
            strangers |= first.strangers | second.strangers
            for error in (first.error, second.error):
                if error is not None and type(error) not in usual and _own(error):
                    usual.add(type(error))
                    told = traceback.format_exception_only(error)[-1].strip()
                    where = subject.place(error.__traceback__)
                    yield Fault(f"raised {told} where two calls overlap", hook, where)
            after = _numbers(subject)
            for name in [name for name, both in counted.items() if after[name] - count[name] < both]:
                if first.place:
                    del counted[name]
                    yield Fault(
                        f"loses counts of {name} where two calls overlap; change it under a lock",
                        hook,
                        first.place,
                    )
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


def _numbers(subject: Subject) -> dict[str, int]:
    return {name: value for name, value in subject.memory().items() if type(value) is int}


def _counted(first: dict[str, int], second: dict[str, int], third: dict[str, int]) -> dict[str, int]:
    """Numbers that each of two calls has made larger by as much, and how much that was together."""
    both = first.keys() & second.keys() & third.keys()
    return {
        name: third[name] - first[name]
        for name in both
        if first[name] < second[name] and second[name] - first[name] == third[name] - second[name]
    }


def _own(error: BaseException) -> bool:
    """Whether an error is the plugin's, and not of a database that somebody else writes to."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__context__
    return cause is None and type(error).__module__ == "builtins"


def _waits(use: _Use, thread: threading.Thread) -> bool:
    """Whether a call stands still, rather than being slow on a busy machine."""
    came_by = -1
    while thread.is_alive() and came_by < len(use.places):
        came_by = len(use.places)
        thread.join(BLOCKED)
    return thread.is_alive()


def _hangs(thread: threading.Thread) -> bool:
    thread.join(HUNG)
    return thread.is_alive()
