"""The guard around every implementation of a hook: a failing call is logged, counted and rolled back here.

pluggy stops at the first exception. So a plugin is registered as a `PluginView`
whose functions handle exceptions. Around each call the guard sets the plugin as the
caller of the unit of work. If the call fails, `UnitOfWork.undo_call` undoes what
that call wrote. An error of a statement that the flow had sent before the call is
not a failure of the plugin: it ends the flow. Only pluggy's public interface is
used, so its order (``tryfirst``, ``trylast``, ``wrapper``) and its tracing work.

| hook | guard | an exception |
| --- | --- | --- |
| notification | `guard`, `wrappers.guard_wrapper` | is logged; the flow continues |
| veto | `guard_veto` | refuses the flow (`Vetoed`) |
| ``deliver_message`` | `guard_delivery`, `wrappers.guard_delivery_wrapper` | ends the flow |
| ``login_steps`` | `guard_steps` | refuses the flow (`Vetoed`) |
| ``is_administrator`` | `guard_answer` | refuses the flow (`Vetoed`) |
| ``export_user`` | `guard_export` | ends the export (`ExportFailed`) |
| ``remove_factors`` | `guard_removal` | ends the removal (`FactorsNotRemoved`) |
| ``host_started``, ``host_stopping`` | `guard_lifecycle` | is logged |
| ``register_…`` | `timed` | is handled by the caller |
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from time import perf_counter_ns
from typing import Any

from authhost_hookspecs import LoginStep, Refused

from authhost.errors import PLUGIN_FAILURES, ExportFailed, FactorsNotRemoved, Vetoed
from authhost.pluginhost.compiled import CALL, CALL_WITHOUT_REQUEST, compiled
from authhost.pluginhost.hooks import (
    ANSWERS,
    EXPORTS,
    LIFECYCLE,
    REMOVALS,
    SECRET_ARGUMENTS,
    SPEC_ARGUMENTS,
    STEPS,
    STOPS,
    VETOES,
    is_notification,
)
from authhost.pluginhost.plugin import GuardedPlugin
from authhost.pluginhost.results import as_count, as_json, check_delivered, check_nothing, check_ran, usable
from authhost.pluginhost.wrappers import guard_delivery_wrapper, guard_wrapper
from authhost.store.unit_of_work import UnitOfWork

GUARD = """
def guarded({parameters}):
    _caller, request.caller = request.caller, _plugin
    request.depth += 1
    _mark = request.mark()
    _started = _perf_counter_ns()
    try:
        _result = _function({arguments})
        if _result is not None:
            _check_ran(_result)
        if request.call_savepoints:
            request.keep_call()
    except _stops:
        if request.call_savepoints:
            request.keep_call()
        raise
    except _PLUGIN_FAILURES as _error:
        request.undo_call(_mark)
        request.check_sent()
        _plugin.pass_required_failure(_error)
        _stats.failures += 1
        _plugin.handle_failure(request, _hook, _error)
    except BaseException:
        request.undo_call(_mark)
        raise
    finally:
        request.caller = _caller
        request.depth -= 1
        _took = _perf_counter_ns() - _started
        _stats.calls += 1
        _stats.nanoseconds += _took
        if _took > _plugin.slow_ns:
            _plugin.log_slow(_hook, _took)
"""


def guard_for(hook: str, *, wrapper: bool) -> Callable[..., Callable[..., Any]]:
    """Return the function that guards implementations of ``hook``."""
    if is_notification(hook):
        return guard_wrapper if wrapper else guard
    if hook in VETOES:
        return guard_veto
    if hook in STEPS:
        return guard_steps
    if hook in ANSWERS:
        return guard_answer
    if hook in EXPORTS:
        return guard_export
    if hook in REMOVALS:
        return guard_removal
    if hook in LIFECYCLE:
        return guard_lifecycle
    if hook == "deliver_message":
        return guard_delivery_wrapper if wrapper else guard_delivery
    return timed


def guard(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a notification: the result never raises. A failing call is logged, and its writes are undone.

    Exceptions of `STOPS` pass, and the writes before them stay.
    """
    stats = plugin.add_implementation(hook, function)
    return compiled(GUARD, function, plugin=plugin, hook=hook, stats=stats, stops=STOPS.get(hook, ()))


def guard_veto(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a veto: every exception, and every result but None, raises a `Vetoed` that names the plugin."""
    veto = as_caller(plugin, hook, function, check=check_nothing, expected=(Refused,))
    secret = not SECRET_ARGUMENTS.isdisjoint(SPEC_ARGUMENTS[hook])

    def call(request: UnitOfWork, *args: Any) -> None:
        cause: BaseException
        try:
            veto(request, *args)
            return
        except Refused as refusal:
            vetoed, cause = _vetoed(plugin, request, hook, refusal), refusal
        except PLUGIN_FAILURES as error:
            request.check_sent()
            plugin.pass_required_failure(error)
            vetoed, cause = Vetoed(plugin_code="plugin_failed", plugin=plugin.name), error
        # Outside the handler, so that an error whose text may contain a secret is not chained.
        raise vetoed from None if secret else cause

    return compiled(CALL, function, call=call)


def guard_steps(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard ``login_steps``: each step gets the plugin's name, and a failure is a `Vetoed`."""

    def named(result: Any) -> list[tuple[str, LoginStep]]:
        check_ran(result)
        steps = [] if result is None else list(usable(hook, result, LoginStep))
        if len({each.key for each in steps}) != len(steps):
            raise ValueError("login_steps returned two steps with one key")
        return [(plugin.name, each) for each in steps]

    return _guard_question(plugin, hook, function, named)


def guard_answer(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a question: the result is a bool, and a failure is a `Vetoed`."""

    def decided(result: Any) -> bool:
        check_ran(result)
        return bool(result is not None and next(usable(hook, [result], bool)))

    return _guard_question(plugin, hook, function, decided)


def _guard_question(
    plugin: GuardedPlugin, hook: str, function: Callable[..., Any], convert: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Guard a hook that only asks: what it writes is undone, and a failure is a `Vetoed`."""
    ask = as_caller(plugin, hook, function, convert=convert, keeps_writes=False)

    def call(request: UnitOfWork, *args: Any) -> Any:
        try:
            return ask(request, *args)
        except PLUGIN_FAILURES as error:
            request.check_sent()
            plugin.pass_required_failure(error)
            raise Vetoed(plugin_code="plugin_failed", plugin=plugin.name) from error

    return compiled(CALL, function, call=call)


def veto_of(plugin: str, refusal: Refused) -> Vetoed:
    """Return the refusal of a plugin for the caller. ``fields["path"]`` begins with the plugin's name.

    Raises ``AttributeError`` if a subclass of the plugin sets no code or message.
    """
    fields = {
        "field": refusal.field,
        "path": f"/{plugin}{refusal.path}" if refusal.path else None,
        "retry_after": refusal.retry_after,
    }
    given = {name: value for name, value in fields.items() if value}
    return Vetoed(refusal.message, plugin_code=refusal.code, plugin=plugin, **given)


def _vetoed(plugin: GuardedPlugin, request: UnitOfWork, hook: str, refusal: Refused) -> Vetoed:
    try:
        return veto_of(plugin.name, refusal)
    except PLUGIN_FAILURES as error:  # a subclass without a code or a message
        plugin.stats[hook].failures += 1
        plugin.log_failure(request, hook, error)
        return Vetoed(plugin_code="plugin_failed", plugin=plugin.name)


def guard_delivery(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard ``deliver_message``: exceptions pass through, and `Hooks.deliver_message` ends the flow."""
    return compiled(CALL, function, call=as_caller(plugin, hook, function, check=check_delivered))


def guard_export(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard ``export_user``: the result is the plugin's name and a copy of what it returned."""
    export = as_caller(plugin, hook, function, convert=as_json)

    def call(request: UnitOfWork, *args: Any) -> tuple[str, dict[str, Any]]:
        try:
            return plugin.name, export(request, *args)
        except PLUGIN_FAILURES as error:
            request.check_sent()
            plugin.pass_required_failure(error)
            raise ExportFailed(plugin=plugin.name) from error

    return compiled(CALL, function, call=call)


def guard_removal(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard ``remove_factors``: the result is a number, and a failure is a `FactorsNotRemoved`."""
    remove = as_caller(plugin, hook, function, convert=as_count)

    def call(request: UnitOfWork, *args: Any) -> int:
        try:
            removed: int = remove(request, *args)
            return removed
        except PLUGIN_FAILURES as error:
            request.check_sent()
            plugin.pass_required_failure(error)
            raise FactorsNotRemoved(plugin=plugin.name) from error

    return compiled(CALL, function, call=call)


def as_caller(
    plugin: GuardedPlugin,
    hook: str,
    function: Callable[..., Any],
    *,
    check: Callable[[Any], None] = check_ran,
    convert: Callable[[Any], Any] | None = None,
    expected: tuple[type[Exception], ...] = (),
    keeps_writes: bool = True,
) -> Callable[..., Any]:
    """Return ``function`` so that it runs as the plugin, and its writes are undone when it raises.

    ``check`` gets every result other than None; ``convert`` returns the result
    instead. Every exception is raised again; those of ``expected`` do not count as
    failures. Without ``keeps_writes`` the writes are undone in any case.
    """
    stats = plugin.add_implementation(hook, function)

    def call(request: UnitOfWork, *args: Any) -> Any:
        caller, request.caller = request.caller, plugin
        request.depth += 1
        mark, started = request.mark(), perf_counter_ns()
        try:
            result = function(*args)
            if convert is not None:
                result = convert(result)
            elif result is not None:
                check(result)
            if not keeps_writes:
                request.undo_call(mark)
            elif request.call_savepoints:
                request.keep_call()
        except BaseException as error:
            request.undo_call(mark)
            if isinstance(error, PLUGIN_FAILURES) and not isinstance(error, expected):
                request.check_sent()
                plugin.pass_required_failure(error)
                stats.failures += 1
                plugin.log_failure(request, hook, error)
            raise
        finally:
            request.caller = caller
            request.depth -= 1
            took = perf_counter_ns() - started
            stats.calls += 1
            stats.nanoseconds += took
            if took > plugin.slow_ns:
                plugin.log_slow(hook, took)
        return result

    return call


def guard_lifecycle(plugin: GuardedPlugin, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Guard ``host_started`` or ``host_stopping``, which run outside a unit of work."""
    counted = timed(plugin, hook, function, check=check_ran)

    def guarded(*args: Any) -> None:
        try:
            counted(*args)
        except PLUGIN_FAILURES as error:
            plugin.handle_failure(None, hook, error)

    return compiled(CALL_WITHOUT_REQUEST, function, call=guarded)


def timed(
    plugin: GuardedPlugin,
    hook: str,
    function: Callable[..., Any],
    *,
    check: Callable[[Any], None] = lambda result: None,
) -> Callable[..., Any]:
    """Count the calls of an extension point and their time; exceptions pass through."""
    stats = plugin.add_implementation(hook, function)

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

    return compiled(CALL_WITHOUT_REQUEST, function, call=counted)


def __getattr__(name: str) -> Any:
    """Return a class by its former module, until version 0.3."""
    if name == "HookStats":
        warnings.warn(
            f"{name} is in authhost.pluginhost.plugin now; it leaves this module in version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module("authhost.pluginhost.plugin"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
