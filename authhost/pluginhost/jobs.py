"""A job of `authhost.pluginhost.background`: which plugin it belongs to, and what the log says of it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from traceback import walk_stack
from typing import Any
from uuid import UUID

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.plugin import GuardedPlugin, definition, last_line, package_of, without_partials
from authhost.store.unit_of_work import BoundToUnit

IN_BACKGROUND = "in_background"
"""The name under which jobs are counted, like a hook."""


@dataclass(slots=True, eq=False)
class Job:
    """One call of a function, for `Background.submit`."""

    plugin: GuardedPlugin | None
    """The plugin that it belongs to, or None for the application."""
    function: Callable[..., Any]
    args: tuple[Any, ...]
    request_id: UUID | None = None
    thread: threading.Thread | None = None
    """The thread that runs it."""
    deadline: float = 0.0
    """When it counts as hanging, in seconds of the monotonic clock."""
    hangs: bool = False
    """Whether it was reported as hanging."""
    failed: bool = False
    """Whether it was counted as a failure."""

    @property
    def is_blocked(self) -> bool:
        """Whether the plugin that it belongs to is blocked at run time."""
        return self.plugin is not None and self.plugin.blocked

    def __str__(self) -> str:
        owner = f"of plugin {self.plugin.name}" if self.plugin else "of the application"
        return f"the background job {_name(self.function)} {owner}"

    def fields(self, at: str) -> dict[str, object]:
        """Return what a log record says of the job in fields of its own; see `authhost.telemetry.logs`."""
        plugin = {"plugin": self.plugin.name, "hook": IN_BACKGROUND} if self.plugin is not None else {}
        return {**plugin, "at": at, "request_id": self.request_id or "-"}

    def line_of(self, error: BaseException) -> str:
        """Return file and line of the innermost frame of the job's own package, else of the function."""
        package = package_of(_module(without_partials(self.function)))
        return last_line(package, error) or (
            self.plugin.location(IN_BACKGROUND, error) if self.plugin else definition(self.function)
        )

    def position(self) -> str | None:
        """Return file and line where the job is now: in its own package, if it is there at all."""
        frame = sys._current_frames().get(self.thread.ident or 0) if self.thread else None
        package = package_of(_module(without_partials(self.function)))
        for each, line in walk_stack(frame) if frame is not None else ():
            module = str(each.f_globals.get("__name__", ""))
            if module == package or module.startswith(f"{package}."):
                return f"{each.f_code.co_filename}:{line}"
        return None


def check_job(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Raise ``TypeError`` for a function and arguments that cannot be a job.

    These are something that cannot be called, an ``async`` function, and a request among
    the arguments, or one level deeper in them.
    """
    if not callable(function):
        raise TypeError(f"in_background needs a function, not a {type(function).__name__}")
    if _is_async(function):
        raise TypeError(f"in_background needs a function without async, and {_name(function)} has it")
    values = (*args, *_bound_values(function))
    if any(_belongs_to_request(each) for value in values for each in (value, *_parts(value))):
        raise TypeError(
            "in_background cannot pass a request or a part of it, which has ended before the job "
            "starts; pass the values that the job needs, such as user.id, and use "
            "host.request() in the job if it writes"
        )


def owner_of(function: Callable[..., Any], plugins: Sequence[GuardedPlugin]) -> GuardedPlugin | None:
    """Return the plugin that a function belongs to: by its object, else its module, else its package."""
    target = without_partials(function)
    owner, module = _attribute(target, "__self__"), _module(target)
    found: dict[str, GuardedPlugin] = {}
    for plugin in plugins:
        for each in plugin.functions.values():
            if owner is not None and getattr(each, "__self__", None) is owner:
                return plugin
            if _module(each) == module:
                found.setdefault("module", plugin)
            if package_of(_module(each)) == package_of(module):
                found.setdefault("package", plugin)
    return found.get("module") or found.get("package")


def _bound_values(function: Callable[..., Any]) -> Sequence[Any]:
    """Return the values bound to a function: arguments of ``functools.partial``, the object of a method."""
    values: list[Any] = []
    while isinstance(function, functools.partial):
        values += [*function.args, *function.keywords.values()]
        function = function.func
    return [*values, _attribute(function, "__self__")]


def _parts(value: Any) -> Iterable[Any]:
    """Return what a container, a dataclass, a method or a ``functools.partial`` consists of."""
    kind = type(value)
    if issubclass(kind, list | tuple | set | frozenset):
        return list(value)
    if issubclass(kind, Mapping):
        return [*value.keys(), *value.values()]
    if dataclasses.is_dataclass(kind):
        return [_attribute(value, each.name) for each in dataclasses.fields(kind)]
    return _bound_values(value) if callable(value) else ()


def _is_async(function: Callable[..., Any]) -> bool:
    try:
        return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    except PLUGIN_FAILURES:  # of its attributes
        return False


def _belongs_to_request(value: Any) -> bool:
    # By the type: isinstance would ask a proxy, such as one of werkzeug, for its object.
    return issubclass(type(value), BoundToUnit)


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute of an object of a plugin, or None if it has none, or fails to return it."""
    try:
        return getattr(value, name, None)
    except PLUGIN_FAILURES:
        return None


def _module(function: Any) -> str:
    module = _attribute(function, "__module__")
    return module if isinstance(module, str) else str(_attribute(type(function), "__module__"))


def _name(function: Callable[..., Any]) -> str:
    target = without_partials(function)
    name = _attribute(target, "__qualname__")
    return name if isinstance(name, str) else class_name(type(target))


def class_name(kind: type) -> str:
    """Return the name of a class, also if its metaclass has another ``__name__``."""
    return str(type.__dict__["__name__"].__get__(kind))
