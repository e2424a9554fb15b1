"""The guard around every implementation of a hook.

pluggy stops at the first exception. So a plugin is registered through a view
of itself whose functions do not raise: a failure is logged, counted, and the
writes of that one call are undone. A statement that was sent before the call,
and fails only then, is no failure of the plugin: it ends the flow. A veto that fails refuses the flow, and a
delivery that fails ends it; both are logged and counted in the same way. Only
pluggy's public interface is used, so its order (``tryfirst``, ``trylast``,
``wrapper``) and its tracing hold.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import update_wrapper
from itertools import accumulate
from time import perf_counter_ns
from traceback import walk_tb
from typing import Any

from authhost_hookspecs import Refused, StopFlow

from authhost.errors import PLUGIN_FAILURES, RequiredPluginFailed, Vetoed
from authhost.store.unit_of_work import UnitOfWork

log = logging.getLogger("authhost.plugins")

STOPS: Mapping[str, tuple[type[StopFlow], ...]] = {"pre_social_login": (StopFlow,)}
"""What an implementation of a hook may raise on purpose."""
AFTER_COMMIT = "on_commit"
"""Under this name the callbacks of ``request.on_commit`` are counted and logged, beside the hooks."""


class UnusableResult(TypeError):
    """An implementation returned something that shows that it did not do its work. The text has no secret."""


@dataclass(slots=True)
class HookStats:
    """What one plugin's implementation of one hook has cost so far."""

    calls: int = 0
    failures: int = 0
    nanoseconds: int = 0


@dataclass(slots=True, eq=False)
class GuardedPlugin:
    """A plugin as the dispatcher sees it."""

    name: str
    required: bool
    slow_ns: int
    stats: dict[str, HookStats] = field(default_factory=dict)
    told: Callable[[str, BaseException], None] | None = None
    """Hears of each failure with its text: for the tests of its author alone."""
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Its implementations by hook, to tell where one is."""

    def watch(self, hook: str, function: Callable[..., Any]) -> HookStats:
        """Begin to count the calls of an implementation."""
        self.functions[hook] = function
        return self.stats.setdefault(hook, HookStats())

    def report(self, request: UnitOfWork | None, hook: str, error: BaseException) -> None:
        """Log a failure with its class and its place.

        The error's text is left out of the log: it may carry anything.
        """
        log.error(
            "plugin %s failed in %s: %s%s at %s (request %s)",
            self.name,
            hook,
            type(error).__name__,
            f" ({error})" if type(error) is UnusableResult else "",
            self.place(hook, error),
            request.id if request is not None else "-",
        )
        if self.told is not None:
            self.told(hook, error)

    def failed(self, request: UnitOfWork | None, hook: str, error: BaseException) -> None:
        """Log a failure; raise `RequiredPluginFailed` for a required plugin, unless the host stops anyway."""
        self.report(request, hook, error)
        self.end_if_required(hook, error)

    def end_if_required(self, hook: str, error: BaseException) -> None:
        """Raise `RequiredPluginFailed` for a required plugin, unless the host stops anyway."""
        if self.required and hook != "host_stopping":
            raise RequiredPluginFailed(self.name, hook) from error

    def place(self, hook: str, error: BaseException) -> str:
        """File and line of the plugin's innermost own frame; without one, of its implementation."""
        function = self.functions.get(hook) or next(iter(self.functions.values()), None)
        home = _home(str(getattr(function, "__module__", "")))
        found = None
        for frame, line in walk_tb(error.__traceback__):
            module = str(frame.f_globals.get("__name__", ""))
            if module == home or module.startswith(f"{home}."):
                found = f"{frame.f_code.co_filename}:{line}"
        return found or _begins(function)

    def slow(self, hook: str, nanoseconds: int) -> None:
        """Name a slow implementation in the log."""
        log.warning("plugin %s was slow in %s: %.0f ms", self.name, hook, nanoseconds / 1e6)

    def rows_failed(
        self, unit: UnitOfWork, error: BaseException, tables: Sequence[str], *, must_store: bool
    ) -> None:
        """Report rows that could not be stored; raise `RequiredPluginFailed` where they had to be."""
        if must_store:
            raise RequiredPluginFailed(self.name, "insert") from error
        log.error(
            "rows of plugin %s were not stored: %s (tables %s, request %s)",
            self.name,
            type(error).__name__,
            ", ".join(tables),
            unit.id,
        )

    def run_callback(self, request: UnitOfWork, callback: Callable[[], None]) -> None:
        """Run a callback of the plugin; it can undo nothing any more, so nothing is raised."""
        if AFTER_COMMIT not in self.stats:
            self.stats = {**self.stats, AFTER_COMMIT: HookStats()}  # another thread may be reading it
        stats, started = self.stats[AFTER_COMMIT], perf_counter_ns()
        try:
            callback()
        except PLUGIN_FAILURES as error:
            stats.failures += 1
            self.report(request, AFTER_COMMIT, error)
        finally:
            took = perf_counter_ns() - started
            stats.calls += 1
            stats.nanoseconds += took
            if took > self.slow_ns:
                self.slow(AFTER_COMMIT, took)


def _home(module: str) -> str:
    """The package that a module belongs to. A namespace package is shared with others, so it is none."""
    for name in accumulate(module.split("."), "{}.{}".format):
        if getattr(sys.modules.get(name), "__file__", None) is not None:
            return name
    return module


def _begins(function: Any) -> str:
    """File and line where a function begins."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "an unknown place"


def check_ran(result: Any) -> None:
    """Raise `UnusableResult` for what a function returns whose body has not run: a coroutine, a generator."""
    if not issubclass(type(result), Coroutine | Generator | AsyncGenerator):
        return
    if not isinstance(result, AsyncGenerator):
        result.close()  # else Python warns that nobody awaits it
    raise UnusableResult(f"it returned a {type(result).__name__}, whose body does not run")


def check_delivered(result: Any) -> None:
    """The same for a delivery, whose result must be known when it returns."""
    check_ran(result)
    if hasattr(type(result), "__await__"):
        raise UnusableResult(f"it returned a {type(result).__name__}, whose end nobody awaits")


def check_nothing(result: Any) -> None:
    """The same for a veto: whatever it returns is a mistake, and its author may think that it refuses."""
    check_ran(result)
    raise UnusableResult(f"it returned a {type(result).__name__}; a veto raises Refused, or returns None")


# pluggy calls an implementation by the names of its parameters, so the guard must bear them, with
# the request as the first one, whether the implementation asks for it or not. Written out by
# `_compiled` for each implementation: one frame less on the path of every hook.
GUARD = """
def guarded({parameters}):
    caller, request.caller = request.caller, plugin
    request.depth += 1
    mark = request.mark()
    started = perf_counter_ns()
    try:
        result = function({arguments})
        if result is not None:
            check_ran(result)
        if request.call_savepoints:
            request.keep_call()
    except stops:
        if request.call_savepoints:
            request.keep_call()
        raise
    except PLUGIN_FAILURES as error:
        request.undo_call(mark)
        request.check_sent()
        stats.failures += 1
        plugin.failed(request, hook, error)
    except BaseException:
        request.undo_call(mark)
        raise
    finally:
        request.caller = caller
        request.depth -= 1
        took = perf_counter_ns() - started
        stats.calls += 1
        stats.nanoseconds += took
        if took > plugin.slow_ns:
            plugin.slow(hook, took)
"""
CALL = """
def guarded({parameters}):
    return call(request, {arguments})
"""
CALL_WITHOUT_REQUEST = """
def guarded({arguments}):
    return call({arguments})
"""
WRAPPER = """
def guarded({parameters}):
    return (yield from steps(request, function({arguments})))
"""


def guard(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that it never raises, and undoes its writes when it fails.

    `STOPS` names what it may raise on purpose; that passes, and its writes stay.
    """
    stats = plugin.watch(hook, function)
    return _compiled(GUARD, function, plugin=plugin, hook=hook, stats=stats, stops=STOPS.get(hook, ()))


def guard_wrapper(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a generator that wraps the other implementations."""
    stats, stops = plugin.watch(hook, function), STOPS.get(hook, ())

    def steps(request: UnitOfWork, generator: Generator[None, Any, Any]) -> Generator[None, Any, Any]:
        run = _WrapperRun(plugin, hook, stats, stops, request, generator)

        def step(action: Callable[[], Any], *, ends: bool) -> bool:
            try:
                run.step(action, ends=ends)
            except stops:
                raise
            except PLUGIN_FAILURES as error:
                plugin.end_if_required(hook, error)
                return False
            return True

        try:
            entered = step(lambda: next(generator), ends=False)
            try:
                result = yield
            except stops as stop:
                # Nobody hides another plugin's stop.
                thrown = stop
                if entered:
                    step(lambda: generator.throw(thrown), ends=True)
                raise
            if entered:
                step(lambda: generator.send(result), ends=True)
            return result
        finally:
            run.close()

    return _compiled(WRAPPER, function, steps=steps)


class _WrapperRun:
    """One call of a wrapper: its two halves run in the plugin's name, and each is undone when it fails."""

    def __init__(
        self,
        plugin: GuardedPlugin,
        hook: str,
        stats: HookStats,
        stops: tuple[type[StopFlow], ...],
        request: UnitOfWork,
        generator: Generator[None, Any, Any],
    ) -> None:
        self._plugin, self._hook, self._stats, self._stops = plugin, hook, stats, stops
        self._request, self._generator = request, generator
        self._spent = 0
        self._ended = False

    def step(self, action: Callable[[], Any], *, ends: bool, thrown: BaseException | None = None) -> Any:
        """Resume the generator and return its result where it ends; report and raise what it raises.

        ``thrown`` is an error of the others, which is no failure of this plugin when it comes back.
        """
        request = self._request
        caller, request.caller = request.caller, self._plugin
        request.depth += 1
        mark, started, result = request.mark(), perf_counter_ns(), None
        try:
            try:
                action()
            except StopIteration as end:
                self._ended, result = True, end.value
            if self._ended is not ends:
                raise UnusableResult("it has a second yield" if ends else "it has ended without a yield")
            if request.call_savepoints:
                request.keep_call()
        except self._stops:
            self._ended = True
            if request.call_savepoints:
                request.keep_call()
            raise
        except BaseException as error:
            request.undo_call(mark)
            if isinstance(error, PLUGIN_FAILURES) and error is not thrown:
                request.check_sent()
                self._stats.failures += 1
                self._plugin.report(request, self._hook, error)
            raise
        finally:
            request.caller = caller
            request.depth -= 1
            self._spent += perf_counter_ns() - started
        return result

    def close(self) -> None:
        """End what is left of the generator, and count the call."""
        if not self._ended:
            with suppress(*PLUGIN_FAILURES):  # they are reported
                self.step(self._close, ends=True)
        self._stats.calls += 1
        self._stats.nanoseconds += self._spent
        if self._spent > self._plugin.slow_ns:
            self._plugin.slow(self._hook, self._spent)

    def _close(self) -> None:
        self._generator.close()
        raise StopIteration


def _compiled(template: str, function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Fill a template with the parameters of ``function``, which the registry has checked."""
    arguments = list(inspect.signature(function).parameters)
    parameters = ["request", *(name for name in arguments if name != "request")]
    source = template.format(parameters=", ".join(parameters), arguments=", ".join(arguments))
    namespace = {
        "PLUGIN_FAILURES": PLUGIN_FAILURES,
        "perf_counter_ns": perf_counter_ns,
        "check_ran": check_ran,
        "function": function,
        **names,
    }
    exec(source, namespace)  # noqa: S102
    guarded: Callable[..., Any] = update_wrapper(namespace["guarded"], function)
    del guarded.__wrapped__  # type: ignore[attr-defined]
    guarded.__qualname__ = guarded.__name__
    return guarded


def guard_veto(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """For what may refuse a flow: whatever it raises or returns becomes a `Vetoed` that names the plugin."""
    asked = _in_name_of(plugin, hook, function, check=check_nothing, expected=(Refused,))

    def call(request: UnitOfWork, *args: Any) -> None:
        try:
            asked(request, *args)
        except Refused as refusal:
            raise _vetoed(plugin, request, hook, refusal) from refusal
        except PLUGIN_FAILURES as error:
            request.check_sent()
            raise Vetoed(plugin_code="plugin_failed", plugin=plugin.name) from error

    return _compiled(CALL, function, call=call)


def _vetoed(plugin: GuardedPlugin, request: UnitOfWork, hook: str, refusal: Refused) -> Vetoed:
    try:
        return Vetoed(refusal.message, plugin_code=refusal.code, plugin=plugin.name)
    except PLUGIN_FAILURES as error:  # a subclass without a code or a message
        plugin.stats[hook].failures += 1
        plugin.report(request, hook, error)
        return Vetoed(plugin_code="plugin_failed", plugin=plugin.name)


def guard_delivery(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """For what takes a message: exceptions pass through, and end the flow."""
    return _compiled(CALL, function, call=_in_name_of(plugin, hook, function, check=check_delivered))


def guard_delivery_wrapper(
    plugin: GuardedPlugin, hook: str, function: Callable[..., Any]
) -> Callable[..., Any]:
    """The same for a generator that wraps the others; what it returns is the result."""
    stats = plugin.watch(hook, function)

    def steps(request: UnitOfWork, generator: Generator[None, Any, Any]) -> Generator[None, Any, Any]:
        run = _WrapperRun(plugin, hook, stats, (), request, generator)
        try:
            run.step(lambda: next(generator), ends=False)
            try:
                result = yield
            except PLUGIN_FAILURES as error:
                thrown = error
                return run.step(lambda: generator.throw(thrown), ends=True, thrown=thrown)
            return run.step(lambda: generator.send(result), ends=True)
        finally:
            run.close()

    return _compiled(WRAPPER, function, steps=steps)


def _in_name_of(
    plugin: GuardedPlugin,
    hook: str,
    function: Callable[..., Any],
    *,
    check: Callable[[Any], None],
    expected: tuple[type[Exception], ...] = (),
) -> Callable[..., Any]:
    """Call ``function`` so that what it writes is the plugin's, and is undone when it raises.

    ``check`` looks at a result other than None; ``expected`` is no failure. Everything raised passes through.
    """
    stats = plugin.watch(hook, function)

    def call(request: UnitOfWork, *args: Any) -> Any:
        caller, request.caller = request.caller, plugin
        request.depth += 1
        mark, started = request.mark(), perf_counter_ns()
        try:
            result = function(*args)
            if result is not None:
                check(result)
            if request.call_savepoints:
                request.keep_call()
        except BaseException as error:
            request.undo_call(mark)
            if isinstance(error, PLUGIN_FAILURES) and not isinstance(error, expected):
                request.check_sent()
                stats.failures += 1
                plugin.report(request, hook, error)
            raise
        finally:
            request.caller = caller
            request.depth -= 1
            took = perf_counter_ns() - started
            stats.calls += 1
            stats.nanoseconds += took
            if took > plugin.slow_ns:
                plugin.slow(hook, took)
        return result

    return call


def guard_lifecycle(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same outside a unit of work: for the start and the end of a host."""
    counted = timed(plugin, hook, function, check=check_ran)

    def guarded(*args: Any) -> None:
        try:
            counted(*args)
        except PLUGIN_FAILURES as error:
            plugin.failed(None, hook, error)

    return _compiled(CALL_WITHOUT_REQUEST, function, call=guarded)


def timed(
    plugin: GuardedPlugin,
    hook: str,
    function: Callable[..., Any],
    *,
    check: Callable[[Any], None] = lambda result: None,
) -> Callable[..., Any]:
    """For extension points: exceptions pass through, calls and time are counted."""
    stats = plugin.watch(hook, function)

    def counted(*args: Any) -> Any:
        started = perf_counter_ns()
        try:
            result = function(*args)
            check(result)
            return result
        except PLUGIN_FAILURES:
            stats.failures += 1
            raise
        finally:
            stats.calls += 1
            stats.nanoseconds += perf_counter_ns() - started

    return _compiled(CALL_WITHOUT_REQUEST, function, call=counted)
