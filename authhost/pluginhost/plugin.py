"""A loaded plugin as the guard and the unit of work see it: its statistics, and the log of its failures."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from time import perf_counter_ns
from traceback import walk_tb
from typing import Any

from authhost.errors import PLUGIN_FAILURES, RequiredPluginFailed
from authhost.pluginhost.results import UnusableResult
from authhost.store.unit_of_work import UnitOfWork

log = logging.getLogger("authhost.plugins")

AFTER_COMMIT = "on_commit"
"""The name under which callbacks of ``request.on_commit`` are counted and logged, like a hook."""


@dataclass(slots=True)
class HookStats:
    """The cost of one plugin's implementation of one hook so far."""

    calls: int = 0
    failures: int = 0
    nanoseconds: int = 0


@dataclass(slots=True, eq=False)
class GuardedPlugin:
    """A plugin whose implementations run under the guard."""

    name: str
    required: bool
    slow_ns: int
    """A call that takes longer (nanoseconds) is logged."""
    stats: dict[str, HookStats] = field(default_factory=dict)
    """By hook."""
    on_failure: Callable[[str, BaseException], None] | None = None
    """Gets the hook and the error of each failure. Only the testing kit sets it: the text may be secret."""
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """The implementations by hook."""
    blocked: bool = False
    """Whether it is blocked at run time: its jobs in the background are dropped."""

    def add_implementation(self, hook: str, function: Callable[..., Any]) -> HookStats:
        """Register an implementation; return the object that counts its calls."""
        self.functions[hook] = function
        return self.stats.setdefault(hook, HookStats())

    def stats_of(self, name: str) -> HookStats:
        """Return the object that counts calls which are not calls of a hook, such as `AFTER_COMMIT`."""
        if name not in self.stats:
            self.stats = {**self.stats, name: HookStats()}  # another thread may be reading it
        return self.stats[name]

    def log_failure(self, request: UnitOfWork | None, hook: str, error: BaseException) -> None:
        """Log a failure with the class of the error, and the file and line; note it in the unit of work.

        The log does not contain the error's text, which may contain a secret.
        """
        at, kind = self.location(hook, error), type(error).__name__
        request_id = request.id if request is not None else "-"
        if request is not None:
            request.failed_calls += ((self.name, hook),)
        log.error(
            "plugin %s failed in %s: %s%s at %s (request %s)",
            self.name,
            hook,
            kind,
            f" ({error})" if type(error) is UnusableResult else "",
            at,
            request_id,
            extra={"plugin": self.name, "hook": hook, "error": kind, "at": at, "request_id": request_id},
        )
        if self.on_failure is not None:
            self.on_failure(hook, error)

    def handle_failure(self, request: UnitOfWork | None, hook: str, error: BaseException) -> None:
        """Log a failure; raise `RequiredPluginFailed` if the plugin is required."""
        self.log_failure(request, hook, error)
        self.raise_if_required(hook, error)

    def pass_required_failure(self, error: BaseException) -> None:
        """Raise ``error`` again if it says that another, required plugin failed in a nested hook."""
        if isinstance(error, RequiredPluginFailed) and error.raised_by_host:
            raise error

    def raise_if_required(self, hook: str, error: BaseException) -> None:
        """Raise `RequiredPluginFailed` if the plugin is required, except while the host stops."""
        if self.required and hook != "host_stopping":
            raise _required_failure(self.name, hook) from error

    def location(self, hook: str, error: BaseException) -> str:
        """Return file and line of the plugin's innermost frame, or of its implementation if there is none."""
        function = self.functions.get(hook) or next(iter(self.functions.values()), None)
        package = package_of(str(getattr(function, "__module__", "")))
        return last_line(package, error) or definition(function)

    def log_slow(self, hook: str, nanoseconds: int) -> None:
        """Log a slow implementation."""
        took = nanoseconds / 1e6
        extra = {"plugin": self.name, "hook": hook}
        log.warning("plugin %s was slow in %s: %.0f ms", self.name, hook, took, extra=extra)

    def rows_failed(
        self, unit: UnitOfWork, error: BaseException, tables: Sequence[str], *, must_store: bool
    ) -> None:
        """Log queued rows that could not be stored; raise `RequiredPluginFailed` with ``must_store``."""
        if must_store:
            raise _required_failure(self.name, "insert") from error
        log.error(
            "rows of plugin %s were not stored: %s (tables %s, request %s)",
            self.name,
            type(error).__name__,
            ", ".join(tables),
            unit.id,
            extra={"plugin": self.name, "error": type(error).__name__, "request_id": unit.id},
        )

    def run_callback(self, request: UnitOfWork, callback: Callable[[], object]) -> None:
        """Run a callback of ``on_commit``. A failure is logged only: the transaction is committed already."""
        stats, started = self.stats_of(AFTER_COMMIT), perf_counter_ns()
        try:
            callback()
        except PLUGIN_FAILURES as error:
            stats.failures += 1
            self.log_failure(request, AFTER_COMMIT, error)
        finally:
            took = perf_counter_ns() - started
            stats.calls += 1
            stats.nanoseconds += took
            if took > self.slow_ns:
                self.log_slow(AFTER_COMMIT, took)


def _required_failure(plugin: str, hook: str) -> RequiredPluginFailed:
    failure = RequiredPluginFailed(plugin, hook)
    failure.raised_by_host = True
    return failure


def last_line(package: str, error: BaseException) -> str | None:
    """Return file and line of the innermost frame of a package in a traceback, or None if it has none."""
    found = None
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module == package or module.startswith(f"{package}."):
            found = f"{frame.f_code.co_filename}:{line}"
    return found


def package_of(module: str) -> str:
    """Return the top-level package of a module. A namespace package does not count: others share it."""
    for name in accumulate(module.split("."), "{}.{}".format):
        if getattr(sys.modules.get(name), "__file__", None) is not None:
            return name
    return module


def without_partials(function: Any) -> Any:
    """Return the function that a ``functools.partial`` calls, or the function itself."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def definition(function: Any) -> str:
    """Return file and line where a function is defined."""
    function = without_partials(function)
    try:
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    except PLUGIN_FAILURES:  # of its __getattr__
        code = None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "an unknown place"
