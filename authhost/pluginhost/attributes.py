"""Looks up the attributes of a plugin object, and their markers, without running the plugin's code.

No property is evaluated, and ``__getattr__`` is not called. pluggy itself
reads the options of a marker, from a function of this module with the same marker,
so that only pluggy's public interface is used.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import (
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

import authhost_hookspecs as contract
import pluggy

ABSENT = object()
"""The value of an attribute that does not exist."""


def _attributes_of_marker() -> frozenset[str]:
    def probe() -> None: ...

    contract.hookimpl(probe)
    return frozenset(vars(probe))


MARKER_ATTRIBUTES = _attributes_of_marker()
"""The names of the attributes that `hookimpl` sets on a function. Only pluggy reads their values."""


class Implementation(NamedTuple):
    """One function of a plugin, and the hook that calls it."""

    hook: str
    function: Callable[..., Any]
    """A method is bound to the plugin."""
    wrapper: bool
    hookwrapper: bool
    tryfirst: bool
    trylast: bool
    optional: bool


class _OneFunction:
    """Holds one function under a name. pluggy looks at what ``dir`` returns, so at nothing else."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        setattr(self, name, function)

    def __dir__(self) -> list[str]:
        return list(vars(self))


def attributes_of(plugin: object) -> Iterator[tuple[str, object, Implementation | None]]:
    """Yield each attribute with its name, its value and its `Implementation`, or None without a marker."""
    for name in _names(plugin):
        attribute, stored = _attribute(plugin, name)
        called, holders = _resolve(plugin, attribute, stored)
        options = next(filter(None, (_options(name, holder) for holder in holders)), None)
        if options is None:
            yield name, attribute, None
            continue
        hook, impl = options
        yield (
            name,
            attribute,
            Implementation(
                hook,
                called,  # type: ignore[arg-type]
                impl.wrapper,
                impl.hookwrapper,
                impl.tryfirst,
                impl.trylast,
                impl.optionalhook,
            ),
        )


def has_type(value: object, *kinds: type) -> bool:
    """``isinstance`` by the real type. An object may have a false ``__class__``, or one that raises."""
    return issubclass(type(value), kinds)


def _names(plugin: object) -> list[str]:
    names = set(stored_attributes(plugin))
    for kind in type.mro(type(plugin)):
        names.update(vars(kind))
    try:
        names.update(dir(plugin))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: S110
        pass  # attributes that `__dir__` omits are found on the object and its classes
    return sorted(name for name in names if type(name) is str)


def stored_attributes(value: object) -> Mapping[str, Any]:
    """Return the ``__dict__`` of an object, or an empty dict if it cannot be read."""
    try:
        stored = object.__getattribute__(value, "__dict__")
    except KeyboardInterrupt:
        raise
    except BaseException:
        return {}
    return stored if type(stored) in (dict, MappingProxyType) else {}


def _attribute(plugin: object, name: str) -> tuple[object, bool]:
    """Return an attribute, and whether it is stored on the object itself: such a function is not bound."""
    attribute: object = inspect.getattr_static(plugin, name, ABSENT)
    if has_type(attribute, MemberDescriptorType):
        try:
            return attribute.__get__(plugin), True  # type: ignore[attr-defined]
        except AttributeError:
            return ABSENT, True
    return attribute, stored_attributes(plugin).get(name, ABSENT) is attribute


def _resolve(plugin: object, attribute: object, stored: bool) -> tuple[object, list[object]]:
    """Return what a call of the attribute calls, and the objects that may have the marker."""
    called, holders = attribute, [attribute]
    if not stored or has_type(plugin, ModuleType):
        if has_type(called, staticmethod):
            called = called.__func__  # type: ignore[attr-defined]
            holders.append(called)
            if has_type(called, staticmethod, classmethod):  # pluggy gets this object, and no function
                return called, holders + _wrapped_in(called)
        if has_type(called, classmethod):
            function = called.__func__  # type: ignore[attr-defined]
            holders.append(function)
            called = MethodType(function, type(plugin)) if has_type(function, FunctionType) else function
            return (called if has_type(called, MethodType) else attribute), holders
    if has_type(called, MethodType):
        function = called.__func__  # type: ignore[attr-defined]
        holders.append(function)
        return (called if has_type(function, FunctionType) else function), holders
    if has_type(called, property):
        holders.append(called.fget)  # type: ignore[attr-defined]
    elif has_type(called, functools.cached_property):
        holders.append(called.func)  # type: ignore[attr-defined]
    elif called is attribute and not stored and has_type(called, FunctionType):
        called = MethodType(called, plugin)  # type: ignore[arg-type]
    return called, holders


def _wrapped_in(method: object) -> list[object]:
    """Return what is inside of static methods and class methods around each other."""
    found: list[object] = []
    while has_type(method, staticmethod, classmethod):
        method = method.__func__  # type: ignore[attr-defined]
        found.append(method)
    return found


def _options(name: str, holder: object) -> tuple[str, pluggy.HookImpl] | None:
    """Return the hook and the options of the marker on ``holder``, or None without a marker."""
    own = stored_attributes(holder)
    marks = {key: own[key] for key in MARKER_ATTRIBUTES if key in own}
    if not marks or has_type(holder, ModuleType):
        return None

    def probe() -> None: ...

    probe.__dict__.update(marks)
    manager, plugin = pluggy.PluginManager(contract.PROJECT_NAME), _OneFunction(name, probe)
    manager.register(plugin, "probe")
    for caller in manager.get_hookcallers(plugin) or ():
        return caller.name, caller.get_hookimpls()[0]
    return None
