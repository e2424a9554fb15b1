"""Record each call of a plugin's hooks: arguments, result, error, time and what it changed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import wraps
from time import perf_counter_ns
from types import FrameType, SimpleNamespace
from typing import Any

from authhost_hookspecs import Refused, StopFlow, hookimpl

from authhost.errors import PLUGIN_FAILURES
from authhost.request import Request
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store.unit_of_work import Callback
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.hook_call import HookCall, entered
from authhost.testing.conformance.process_state import changed_state, process_state
from authhost.testing.conformance.side_effects import install_audit_hook

REQUEST_ATTRIBUTES = (
    "id",
    "identifier_digest",
    "provider",
    "ip_address",
    "user_agent",
    "language",
    "native",
)
SOCIALLOGIN_ATTRIBUTES = ("process", "token", "email_addresses")
"""The attributes that `sociallogin.connect` does not change by design."""


class CallRecorder:
    """Records the calls of one plugin. ``recorder.plugin`` is what the host gets in place of the plugin.

    It has the same hooks with the same order options, and passes each call on.
    """

    def __init__(self, checked: CheckedPlugin, covered: set[tuple[str, int]]) -> None:
        self.checked, self.covered = checked, covered
        self.tracing = True
        """Whether to add the lines of the plugin that run to ``covered``. It makes calls slower."""
        self.calls: list[HookCall] = []
        self.plugin = SimpleNamespace()
        install_audit_hook()
        for each in checked.marked():
            record = self._recorded_wrapper if each.wrapper else self._recorded
            marked = hookimpl(wrapper=each.wrapper, tryfirst=each.tryfirst, trylast=each.trylast)
            setattr(self.plugin, each.hook, marked(record(each.hook, each.function)))

    def _recorded(self, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if hook.startswith("register_"):

            @wraps(function)
            def registered() -> Any:
                return function()

            return registered
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def called(*values: Any) -> Any:
            # The guard passes arguments by position.
            call = HookCall(hook, dict(zip(names, values, strict=True)))
            self.calls.append(call)
            with self._recording(call):
                call.returned = function(*values)
            if isinstance(call.returned, Coroutine):
                call.returned.close()  # otherwise Python warns that it was never awaited
            return call.returned

        return called

    def _recorded_wrapper(self, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def called(*values: Any) -> Generator[None, Any, Any]:
            call = HookCall(hook, dict(zip(names, values, strict=True)))
            self.calls.append(call)
            generator, returned = function(*values), []

            def step(resume: Callable[..., Any], value: Any) -> None:
                with self._recording(call):
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
                        call.error = None if same is error else call.error  # another plugin raised it
                        raise
                else:
                    step(generator.send, result)
            if not returned:
                yield  # a second yield, which the guard rejects
            return returned[0]

        return called

    @contextmanager
    def _recording(self, call: HookCall) -> Iterator[None]:
        watched = {name: (value, *_records(value)) for name, value in call.arguments.items()}
        before = {name: _snapshots(values) for name, values in watched.items()}
        state, callbacks = process_state(), _callbacks(call)
        queued = len(callbacks)
        try:
            with entered(self.checked, call), self._lines_covered():
                started = perf_counter_ns()
                try:
                    yield
                except PLUGIN_FAILURES as error:
                    call.error = None if isinstance(error, Refused | StopFlow) else error
                    raise
                finally:
                    call.nanoseconds += perf_counter_ns() - started
        finally:
            changed = (name for name, values in watched.items() if _snapshots(values) != before[name])
            call.changed_arguments = (*call.changed_arguments, *changed)
            call.changed_state = (*call.changed_state, *changed_state(state, process_state()))
            call.stored_arguments = tuple(self._stored_arguments(call))
            callbacks[queued:] = [
                each._replace(run=self._timed(call, each.run)) for each in callbacks[queued:]
            ]

    @contextmanager
    def _lines_covered(self) -> Iterator[None]:
        outer = sys.gettrace()
        if not self.tracing or outer is not None:  # such as a debugger
            yield
            return
        owns, covered = self.checked.owns, self.covered

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if event == "call" and not owns(frame.f_code.co_filename):
                return None
            covered.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(outer)

    def _timed(self, call: HookCall, callback: Callable[[], object]) -> Callable[[], None]:
        def timed() -> None:
            started = perf_counter_ns()
            try:
                with self._lines_covered():
                    callback()
            except PLUGIN_FAILURES as error:
                call.callback_error = error
                raise
            finally:
                call.callback_nanoseconds += perf_counter_ns() - started

        return timed

    def _stored_arguments(self, call: HookCall) -> Iterator[tuple[str, str]]:
        if "host" in call.arguments:
            return
        attributes = self.checked.attributes()
        for argument, value in call.arguments.items():
            if value is not None and not isinstance(value, str | bool):
                yield from ((argument, name) for name, each in attributes.items() if each is value)


def _callbacks(call: HookCall) -> list[Callback]:
    request = call.arguments.get("request")
    return request.callbacks if isinstance(request, Request) else []


def _records(value: Any) -> tuple[Any, ...]:
    """The records of a request. `Request.accounts` and flows replace them, but nobody may change them."""
    return (value.user, value.session, *value.authentication) if isinstance(value, Request) else ()


def _snapshots(values: tuple[Any, ...]) -> list[Any]:
    return [_snapshot(value) for value in values]


def _snapshot(value: Any) -> Any:
    """A copy of a value, all the way down, for comparison."""
    if isinstance(value, Request):
        # The request sets attributes of its own when it loads something on first use.
        added = sorted(name for name in vars(value) if not (name.startswith("_") or hasattr(Request, name)))
        return [added, *(_snapshot(getattr(value, name)) for name in REQUEST_ATTRIBUTES)]
    if isinstance(value, SocialLogin):
        return [_snapshot(getattr(value, name)) for name in SOCIALLOGIN_ATTRIBUTES]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value), *(_snapshot(getattr(value, each.name)) for each in fields(value))]
    if isinstance(value, BaseException):
        return [type(value), str(value), repr(vars(value))]
    return repr(value)
