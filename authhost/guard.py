"""The guard around every implementation of a notification.

pluggy stops at the first exception. So a plugin is registered through a view
of itself whose functions do not raise: a failure is logged, counted, and the
writes of that one call are undone. Only pluggy's public interface is used, so
its order (``tryfirst``, ``trylast``, ``wrapper``) and its tracing hold.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import Refused, StopFlow

from authhost.errors import RequiredPluginFailed, Vetoed

if TYPE_CHECKING:
    from authhost.request import Request

log = logging.getLogger("authhost.plugins")

FAILURES = (Exception, SystemExit)
"""A plugin must not end the process; Ctrl-C must."""
STOPS: Mapping[str, tuple[type[StopFlow], ...]] = {"pre_social_login": (StopFlow,)}
"""What an implementation of a hook may raise on purpose."""


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

    def failed(self, request: Request | None, hook: str, error: BaseException) -> None:
        """Log a failure; raise `RequiredPluginFailed` for a required plugin, unless the host stops anyway.

        The error's text is left out of the log: it may carry anything.
        """
        log.error(
            "plugin %s failed in %s: %s (request %s)",
            self.name,
            hook,
            type(error).__name__,
            request.id if request is not None else "-",
        )
        if self.told is not None:
            self.told(hook, error)
        if self.required and hook != "host_stopping":
            raise RequiredPluginFailed(self.name, hook) from error

    def slow(self, hook: str, nanoseconds: int) -> None:
        """Name a slow implementation in the log."""
        log.warning("plugin %s was slow in %s: %.0f ms", self.name, hook, nanoseconds / 1e6)


# pluggy calls an implementation by the names of its parameters, so the guard must bear them, with
# the request as the first one, whether the implementation asks for it or not. Written out by
# `_compiled` for each implementation: one frame less on the path of every hook.
GUARD = """
def guarded({parameters}):
    caller, request.caller = request.caller, plugin
    rows, callbacks = len(request.queued), len(request.callbacks)
    started = perf_counter_ns()
    try:
        function({arguments})
        if request.db_touched:
            request.release_db()
    except stops:
        if request.db_touched:
            request.release_db()
        raise
    except FAILURES as error:
        request.undo((rows, callbacks))
        stats.failures += 1
        plugin.failed(request, hook, error)
    finally:
        request.caller = caller
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
WRAPPER = """
def guarded({parameters}):
    return (yield from steps(request, function({arguments})))
"""


def guard(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that it never raises, and undoes its writes when it fails.

    `STOPS` names what it may raise on purpose; that passes, and its writes stay.
    """
    stats = plugin.stats.setdefault(hook, HookStats())
    return _compiled(GUARD, function, plugin=plugin, hook=hook, stats=stats, stops=STOPS.get(hook, ()))


def guard_wrapper(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a generator that wraps the other implementations."""
    stats, stops = plugin.stats.setdefault(hook, HookStats()), STOPS.get(hook, ())

    def step(request: Request, action: Callable[[], Any]) -> bool:
        caller, request.caller = request.caller, plugin
        mark, started = request.mark(), perf_counter_ns()
        try:
            action()
            if request.db_touched:
                request.release_db()
        except StopIteration:
            return False
        except stops:
            if request.db_touched:
                request.release_db()
            raise
        except FAILURES as error:
            request.undo(mark)
            stats.failures += 1
            plugin.failed(request, hook, error)
            return False
        finally:
            request.caller = caller
            stats.nanoseconds += perf_counter_ns() - started
        return True

    def steps(request: Request, generator: Generator[None, Any, Any]) -> Generator[None, Any, Any]:
        stats.calls += 1
        entered = step(request, lambda: next(generator))
        try:
            result = yield
        except stops as stop:
            # Nobody hides another plugin's stop.
            thrown = stop
            if entered:
                step(request, lambda: generator.throw(thrown))
            raise
        if entered:
            step(request, lambda: generator.send(result))
        return result

    return _compiled(WRAPPER, function, steps=steps)


def _compiled(template: str, function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Fill a template with the parameters of ``function``, which the registry has checked."""
    arguments = list(inspect.signature(function).parameters)
    parameters = ["request", *(name for name in arguments if name != "request")]
    source = template.format(parameters=", ".join(parameters), arguments=", ".join(arguments))
    namespace = {"FAILURES": FAILURES, "perf_counter_ns": perf_counter_ns, "function": function, **names}
    exec(source, namespace)  # noqa: S102
    guarded: Callable[..., Any] = update_wrapper(namespace["guarded"], function)
    del guarded.__wrapped__  # type: ignore[attr-defined]
    guarded.__qualname__ = guarded.__name__
    return guarded


def guard_veto(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """For what may refuse a flow: whatever it raises becomes a `Vetoed` that names the plugin."""
    asked = _in_name_of(plugin, timed(plugin, hook, function))

    def call(request: Request, *args: Any) -> None:
        try:
            asked(request, *args)
        except Refused as refusal:
            raise Vetoed(refusal.message, plugin_code=refusal.code, plugin=plugin.name) from refusal
        except FAILURES as error:
            raise Vetoed(plugin_code="plugin_failed", plugin=plugin.name) from error

    return _compiled(CALL, function, call=call)


def guard_delivery(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """For what takes a message: exceptions pass through, and end the flow."""
    return _compiled(CALL, function, call=_in_name_of(plugin, timed(plugin, hook, function)))


def _in_name_of(plugin: GuardedPlugin, function: Callable[..., Any]) -> Callable[..., Any]:
    """Call ``function`` so that what it writes is the plugin's, and is undone when it raises."""

    def call(request: Request, *args: Any) -> Any:
        caller, request.caller = request.caller, plugin
        mark = request.mark()
        try:
            result = function(*args)
            if request.db_touched:
                request.release_db()
        except BaseException:
            request.undo(mark)
            raise
        finally:
            request.caller = caller
        return result

    return call


def guard_lifecycle(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same outside a unit of work: for the start and the end of a host."""
    counted = timed(plugin, hook, function)

    def guarded(*args: Any) -> None:
        try:
            counted(*args)
        except FAILURES as error:
            plugin.failed(None, hook, error)

    return update_wrapper(guarded, function)


def timed(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """For extension points: exceptions pass through, calls and time are counted."""
    stats = plugin.stats.setdefault(hook, HookStats())

    def counted(*args: Any) -> Any:
        started = perf_counter_ns()
        try:
            return function(*args)
        except FAILURES:
            stats.failures += 1
            raise
        finally:
            stats.calls += 1
            stats.nanoseconds += perf_counter_ns() - started

    return update_wrapper(counted, function)


def timed_wrapper(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a generator that wraps the others: its calls alone, since what it takes is theirs, too."""
    stats = plugin.stats.setdefault(hook, HookStats())

    def counted(*args: Any) -> Generator[None, Any, Any]:
        stats.calls += 1
        return (yield from function(*args))

    return update_wrapper(counted, function)
