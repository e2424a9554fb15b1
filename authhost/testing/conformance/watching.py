"""A plugin under observation: what each call of a hook does, changes, raises and costs."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from time import perf_counter_ns
from types import FrameType, SimpleNamespace
from typing import Any

from authhost_hookspecs import Refused, StopFlow, hookimpl

from authhost.errors import PLUGIN_FAILURES
from authhost.host import AuthHost
from authhost.request import Request
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store.unit_of_work import Callback
from authhost.testing.conformance.process import changes, state, written
from authhost.testing.conformance.subject import Subject

OF_REQUEST = (
    "id",
    "user",
    "session",
    "authentication",
    "identifier_digest",
    "provider",
    "ip_address",
    "user_agent",
    "language",
    "native",
)
OF_SOCIALLOGIN = ("process", "token", "email_addresses")
"""What `sociallogin.connect` does not change by design."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(slots=True)
class Call:
    """One call of one hook."""

    hook: str
    arguments: dict[str, Any]
    nanoseconds: int = 0
    error: BaseException | None = None
    changed: tuple[str, ...] = ()
    """Arguments that were not the same afterwards."""
    outside: dict[str, str | None] = field(default_factory=dict)
    """What left the process before the commit, and where in the code."""
    process: tuple[str, ...] = ()
    """What it has changed for the whole process."""
    foreign: dict[str, str | None] = field(default_factory=dict)
    """The host's tables that it wrote to, and where in the code."""
    returned: Any = None
    kept: tuple[tuple[str, str], ...] = ()
    """Arguments that the plugin has kept on itself, and by which name."""
    other_host: str | None = None
    """Where it used the database of a host that is not the request's."""
    later: int = 0
    """Nanoseconds that its callbacks took after the commit."""
    later_error: BaseException | None = None


class Watched:
    """A stand-in for a plugin, with the same hooks, that writes down each call."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.calls: list[Call] = []
        self.view = SimpleNamespace()
        _listen()
        for each in subject.marked():
            watch = self._wrapper if each.wrapper else self._plain
            marked = hookimpl(wrapper=each.wrapper, tryfirst=each.tryfirst, trylast=each.trylast)
            setattr(self.view, each.hook, marked(watch(each.hook, each.function)))

    def _plain(self, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if hook.startswith("register_"):

            @wraps(function)
            def asked() -> Any:
                return function()

            return asked
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def called(*values: Any) -> Any:
            # The guard hands arguments over by their place.
            given = dict(zip(names, values, strict=True))
            call = Call(hook, given)
            self.calls.append(call)
            with self._observed(call):
                call.returned = function(*values)
            if isinstance(call.returned, Coroutine):
                call.returned.close()  # else Python itself complains
            return call.returned

        return called

    def _wrapper(self, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def called(*values: Any) -> Generator[None, Any, Any]:
            call = Call(hook, dict(zip(names, values, strict=True)))
            self.calls.append(call)
            generator, returned = function(*values), []

            def step(resume: Callable[..., Any], value: Any) -> None:
                with self._observed(call):
                    try:
                        resume(value)
                    except StopIteration as end:
                        returned.append(end.value)

            step(lambda _: next(generator), None)
            if not returned:
                try:
                    result = yield
                except PLUGIN_FAILURES as error:
                    try:
                        step(generator.throw, error)
                    except PLUGIN_FAILURES as same:
                        call.error = None if same is error else call.error  # not its own
                        raise
                else:
                    step(generator.send, result)
            if not returned:
                yield  # once too often: the guard's to judge
            return returned[0]

        return called

    @contextmanager
    def _observed(self, call: Call) -> Iterator[None]:
        before = {name: _state(value) for name, value in call.arguments.items()}
        process, callbacks = state(), _callbacks(call)
        waiting = len(callbacks)
        outer, _running.call = getattr(_running, "call", None), (self.subject, call)
        started = perf_counter_ns()
        try:
            yield
        except PLUGIN_FAILURES as error:
            call.error = None if isinstance(error, Refused | StopFlow) else error
            raise
        finally:
            call.nanoseconds += perf_counter_ns() - started
            _running.call = outer
            changed = (name for name, value in call.arguments.items() if _state(value) != before[name])
            call.changed = (*call.changed, *changed)
            call.process = (*call.process, *changes(process, state()))
            call.kept = tuple(self._kept(call))
            callbacks[waiting:] = [each._replace(run=_timed(call, each.run)) for each in callbacks[waiting:]]

    def _kept(self, call: Call) -> Iterator[tuple[str, str]]:
        if "host" in call.arguments:
            return
        found = self.subject.memory()
        for argument, value in call.arguments.items():
            if value is not None and not isinstance(value, str | bool):
                yield from ((argument, name) for name, each in found.items() if each is value)


def _callbacks(call: Call) -> list[Callback]:
    request = call.arguments.get("request")
    return request.callbacks if isinstance(request, Request) else []


def _timed(call: Call, callback: Callable[[], None]) -> Callable[[], None]:
    def called() -> None:
        started = perf_counter_ns()
        try:
            callback()
        except PLUGIN_FAILURES as error:
            call.later_error = error
            raise
        finally:
            call.later += perf_counter_ns() - started

    return called


def _state(value: Any) -> Any:
    """What a value looks like, all the way down."""
    if isinstance(value, Request):
        return [*vars(value), *(_state(getattr(value, name)) for name in OF_REQUEST)]
    if isinstance(value, SocialLogin):
        return [_state(getattr(value, name)) for name in OF_SOCIALLOGIN]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value), *(_state(getattr(value, each.name)) for each in fields(value))]
    if isinstance(value, BaseException):
        return [type(value), str(value), repr(vars(value))]
    return repr(value)


# What leaves the process: CPython tells of it (PEP 578). A hook like this cannot be taken out again.

_running = threading.local()
_keepers: dict[Subject, dict[str, str]] = {}
_listening = False


@contextmanager
def files_of(subject: Subject) -> Iterator[dict[str, str]]:
    """The files that a plugin writes meanwhile, in whatever thread and before or after a commit."""
    _listen()
    files = _keepers[subject] = {}
    try:
        yield files
    finally:
        del _keepers[subject]


def _listen() -> None:
    global _listening
    if not _listening:
        _listening = True
        sys.addaudithook(_heard)


def executed(host: AuthHost, statement: str) -> None:
    """A statement goes to the database: is it a plugin's, and is it the right host, and no table of it?"""
    current = getattr(_running, "call", None)
    if current is None:
        return
    subject, call = current
    request, table = call.arguments.get("request"), written(statement)
    other = isinstance(request, Request) and request.host is not host
    if table is None and not other:
        return
    at: FrameType | None = sys._getframe(1)
    while at is not None and not subject.owns(at.f_code.co_filename):
        module = at.f_globals.get("__name__", "")
        if module.startswith("authhost.") and not module.startswith("authhost.testing."):
            return  # the host's own doing, such as `sociallogin.connect`
        at = at.f_back
    if at is not None and table is not None:
        call.foreign.setdefault(table, subject.place(at))
    if at is not None and other:
        call.other_host = subject.place(at)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    what = _outside(event, arguments) if _keepers or getattr(_running, "call", None) else None
    if what == "writes a file" and isinstance(arguments[0], str | bytes | os.PathLike):
        for keeper, files in list(_keepers.items()):
            place = keeper.place(sys._getframe())
            if place is not None:
                files.setdefault(os.path.abspath(os.fsdecode(arguments[0])), place)
    current = getattr(_running, "call", None)
    if what is not None and current is not None:
        subject, call = current
        call.outside.setdefault(what, subject.place(sys._getframe()))


def _outside(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return "talks to the network"
    if event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork"):
        return "starts a process"
    if event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir"):
        return None if "__pycache__" in str(arguments[0]) else "changes files"  # by an import
    if event == "open":
        path, _, flags = arguments  # `os.open` has no mode
        written = isinstance(flags, int) and flags & WRITING
        return "writes a file" if written and "__pycache__" not in str(path) else None
    return "sleeps" if event == "time.sleep" else None
