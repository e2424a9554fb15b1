"""The guard around wrappers (``@hookimpl(wrapper=True)``), which run around the other implementations.

Each half of a wrapper, before and after its ``yield``, runs as the plugin. A
half that fails is logged, and `UnitOfWork.undo_call` undoes what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from authhost_hookspecs import StopFlow

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.compiled import compiled
from authhost.pluginhost.hooks import STOPS
from authhost.pluginhost.plugin import GuardedPlugin, HookStats
from authhost.pluginhost.results import UnusableResult
from authhost.store.unit_of_work import UnitOfWork

WRAPPER = """
def guarded({parameters}):
    return (yield from _steps(request, _function({arguments})))
"""


def guard_wrapper(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a wrapper of a notification: a failure of either half does not reach the others."""
    stats, stops = plugin.add_implementation(hook, function), STOPS.get(hook, ())

    def steps(request: UnitOfWork, generator: Generator[None, Any, Any]) -> Generator[None, Any, Any]:
        run = _WrapperRun(plugin, hook, stats, stops, request, generator)

        def step(action: Callable[[], Any], *, ends: bool) -> bool:
            try:
                run.step(action, ends=ends)
            except stops:
                raise
            except PLUGIN_FAILURES as error:
                plugin.pass_required_failure(error)
                plugin.raise_if_required(hook, error)
                return False
            return True

        try:
            entered = step(lambda: next(generator), ends=False)
            try:
                result = yield
            except stops as stop:
                # A wrapper cannot suppress another plugin's StopFlow.
                thrown = stop
                if entered:
                    step(lambda: generator.throw(thrown), ends=True)
                raise
            if entered:
                step(lambda: generator.send(result), ends=True)
            return result
        finally:
            run.close()

    return compiled(WRAPPER, function, steps=steps)


def guard_delivery_wrapper(
    plugin: GuardedPlugin, hook: str, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Guard a wrapper of ``deliver_message``: its exceptions pass, and it decides the result."""
    stats = plugin.add_implementation(hook, function)

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

    return compiled(WRAPPER, function, steps=steps)


class _WrapperRun:
    """One call of a wrapper. Each of its two halves runs as the plugin, and is undone when it fails."""

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
        """Resume the generator, and return its result if it ends. A failure is logged, undone and raised.

        ``ends`` says whether the generator has to end in this step. ``thrown`` is an
        error of another plugin: if the generator raises it again, that is no failure.
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
                self._plugin.pass_required_failure(error)
                self._stats.failures += 1
                self._plugin.log_failure(request, self._hook, error)
            raise
        finally:
            request.caller = caller
            request.depth -= 1
            self._spent += perf_counter_ns() - started
        return result

    def close(self) -> None:
        """Close the generator if it has not ended, and count the call."""
        if not self._ended:
            with suppress(*PLUGIN_FAILURES):  # `step` has logged them
                self.step(self._close, ends=True)
        self._stats.calls += 1
        self._stats.nanoseconds += self._spent
        if self._spent > self._plugin.slow_ns:
            self._plugin.log_slow(self._hook, self._spent)

    def _close(self) -> None:
        self._generator.close()
        raise StopIteration
