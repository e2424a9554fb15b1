"""The guard around every implementation of a notification.

pluggy stops at the first exception. So a plugin is registered through a view
of itself whose functions do not raise: a failure is logged, counted, and the
writes of that one call are undone. Only pluggy's public interface is used, so
its order (``tryfirst``, ``trylast``, ``wrapper``) and its tracing hold.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import update_wrapper
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from authhost.errors import RequiredPluginFailed

if TYPE_CHECKING:
    from authhost.request import Request

log = logging.getLogger("authhost.plugins")

current: ContextVar[Request] = ContextVar("authhost_request")
"""The unit of work whose hook is being called."""

FAILURES = (Exception, SystemExit)
"""A plugin must not end the process; Ctrl-C must."""


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

    def failed(self, request: Request | None, hook: str, error: BaseException) -> None:
        """Log a failure; raise `RequiredPluginFailed` for a required plugin.

        The error's text is left out of the log: it may carry anything.
        """
        log.error(
            "plugin %s failed in %s: %s (request %s)",
            self.name,
            hook,
            type(error).__name__,
            request.id if request is not None else "-",
        )
        if self.required:
            raise RequiredPluginFailed(self.name, hook) from error

    def slow(self, hook: str, nanoseconds: int) -> None:
        """Name a slow implementation in the log."""
        log.warning("plugin %s was slow in %s: %.0f ms", self.name, hook, nanoseconds / 1e6)


def guard(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that it never raises, and undoes its writes when it fails.

    The request comes from a context variable that the dispatcher sets, since
    an implementation need not ask for it.
    """
    stats = plugin.stats.setdefault(hook, HookStats())
    slow_ns = plugin.slow_ns

    def guarded(*args: Any) -> None:
        request = current.get()
        caller, request.caller = request.caller, plugin
        mark = request.mark()
        started = perf_counter_ns()
        try:
            function(*args)
            if request.db_touched:
                request.release_db()
        except FAILURES as error:
            request.undo(mark)
            stats.failures += 1
            plugin.failed(request, hook, error)
        finally:
            request.caller = caller
            took = perf_counter_ns() - started
            stats.calls += 1
            stats.nanoseconds += took
            if took > slow_ns:
                plugin.slow(hook, took)

    return update_wrapper(guarded, function)


def guard_wrapper(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a generator that wraps the other implementations."""
    stats = plugin.stats.setdefault(hook, HookStats())

    def guarded(*args: Any) -> Generator[None, Any, Any]:
        request = current.get()
        stats.calls += 1
        mark = request.mark()
        generator: Generator[None, Any, Any] | None = function(*args)
        try:
            next(generator)  # type: ignore[arg-type]
        except FAILURES as error:
            generator = None
            request.undo(mark)
            stats.failures += 1
            plugin.failed(request, hook, error)
        result = yield
        if generator is not None:
            mark = request.mark()
            try:
                generator.send(result)
            except StopIteration:
                pass
            except FAILURES as error:
                request.undo(mark)
                stats.failures += 1
                plugin.failed(request, hook, error)
        return result

    return update_wrapper(guarded, function)


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
