"""Finds the implementations of a plugin object, and refuses those that pluggy would not call.

An implementation is either called or refused, never ignored: see
`PluginRefused`. The lookup itself does not run the plugin's code (`attributes`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from types import FunctionType, MethodType, ModuleType
from typing import Any

import authhost_hookspecs as contract

from authhost.pluginhost.allauth_arguments import equivalent
from authhost.pluginhost.attributes import (
    ABSENT,
    MARKER_ATTRIBUTES,
    Implementation,
    attributes_of,
    has_type,
    stored_attributes,
)
from authhost.pluginhost.declarations import PluginRefused
from authhost.pluginhost.hooks import RETURNS_ITERABLE, VETOES, is_wrappable
from authhost.pluginhost.published import CONTRACT, HookSpecs


def implementations_of(plugin: object, specs: HookSpecs = CONTRACT) -> tuple[list[Implementation], list[str]]:
    """Return a plugin's implementations, and the optional hooks that ``specs`` does not have.

    Raises `PluginRefused` for everything that pluggy would ignore, or that would fail later.
    """
    if has_type(plugin, type):
        raise PluginRefused(
            f"it is the class {plugin.__name__}; the entry point must name an instance or a module"  # type: ignore[attr-defined]
        )
    found: list[Implementation] = []
    unknown: list[str] = []
    for name, attribute, implementation in attributes_of(plugin):
        if implementation is None:
            _check_unmarked(plugin, name, attribute, specs)
            continue
        hook = implementation.hook
        _check_callable(name, attribute, implementation)
        if hook not in specs.arguments and implementation.optional:
            unknown.append(hook)
            continue
        _check(implementation, specs)
        if any(hook == other.hook for other in found):
            raise PluginRefused(f"{hook} is implemented twice; one of the two would never be called")
        found.append(implementation)
    if not found and not unknown:
        raise PluginRefused("it implements no hook; decorate its functions with authhost_hookspecs.hookimpl")
    return found, unknown


def hookspecs_of(plugin: object) -> Implementation | None:
    """Return the checked implementation of ``register_hookspecs``, before the others are checked."""
    if has_type(plugin, type):
        return None  # `implementations_of` refuses it
    for name, attribute, implementation in attributes_of(plugin):
        if implementation is not None and implementation.hook == "register_hookspecs":
            _check_callable(name, attribute, implementation)
            _check(implementation, CONTRACT)
            return implementation
    return None


def marked(plugin: object) -> Iterator[Implementation]:
    """Yield each function of a plugin that has the marker, whether pluggy can call it or not."""
    return (implementation for _, _, implementation in attributes_of(plugin) if implementation is not None)


def _check_callable(name: str, attribute: object, implementation: Implementation) -> None:
    if not has_type(implementation.function, FunctionType, MethodType):
        raise PluginRefused(
            f"{_shown_name(name, implementation.hook)} is a {type(attribute).__name__}, "
            "which pluggy would not call; decorate a plain function or method with @hookimpl"
        )


def _shown_name(name: str, hook: str) -> str:
    return name if name == hook else f"{name} (for {hook})"


def _check_unmarked(plugin: object, name: str, attribute: object, specs: HookSpecs) -> None:
    """Refuse an attribute that has the name of a hook and looks like an implementation, but has no marker."""
    if name not in specs.arguments:
        return
    if name in specs.published and _is_spec(attribute, specs.published[name].spec):
        return
    if attribute is ABSENT:
        raise PluginRefused(
            f"{name} is provided by __getattr__ only, which pluggy does not call; "
            "make the entry point name the object that has it"
        )
    kind = type(attribute)
    if has_type(plugin, ModuleType) and has_type(attribute, FunctionType):
        home = str(stored_attributes(plugin).get("__name__")).partition(".")[0]
        if str(attribute.__module__).partition(".")[0] != home:
            return  # imported from another package, for use by the module
    elif has_type(attribute, property, functools.cached_property):
        raise PluginRefused(
            f"{name} is a {kind.__name__}, which pluggy does not evaluate; make it a function with @hookimpl"
        )
    elif not callable(attribute) and not any("__get__" in vars(each) for each in type.mro(kind)):
        return
    for ending in (mark.removeprefix(contract.PROJECT_NAME) for mark in MARKER_ATTRIBUTES):
        for key in stored_attributes(attribute):
            if type(key) is str and key.endswith(ending):
                project = key.removesuffix(ending)
                raise PluginRefused(
                    f"{name} has the marker of project {project!r}; use authhost_hookspecs.hookimpl"
                )
    raise PluginRefused(f"{name} has the name of a hook but no marker; add @hookimpl, or rename it")


def _is_spec(attribute: object, spec: object) -> bool:
    """Return whether an attribute is the specification of a published hook itself."""
    while has_type(attribute, staticmethod):
        attribute = attribute.__func__  # type: ignore[attr-defined]
    return attribute is spec


def _check(implementation: Implementation, specs: HookSpecs) -> None:
    hook, function, wrapper = implementation.hook, implementation.function, implementation.wrapper
    if hook not in specs.arguments:
        raise PluginRefused(f"there is no hook {hook!r}; {_unknown_hook_hint(hook, specs)}")
    if implementation.hookwrapper:
        raise PluginRefused(f"{hook} is an old-style hookwrapper; use @hookimpl(wrapper=True)")
    if wrapper and hook in VETOES:
        raise PluginRefused(f"{hook} may not be wrapped, since a wrapper could hide another plugin's refusal")
    if wrapper and not is_wrappable(hook):
        raise PluginRefused(f"{hook} may not be wrapped, since each plugin answers it for itself")
    _check_kind(hook, function, wrapper=wrapper)
    _check_signature(hook, function, specs.arguments[hook])


def _unknown_hook_hint(hook: str, specs: HookSpecs) -> str:
    if hook in specs.withdrawn:
        return (
            f"the plugin {specs.withdrawn[hook]}, which publishes it, was refused; "
            "repair that plugin, or use @hookimpl(optionalhook=True)"
        )
    near = get_close_matches(hook, specs.arguments, 1)
    return (f"did you mean {near[0]!r}? " if near else "see `authhost hooks`. ") + (
        "If another plugin publishes it, install that plugin, or use @hookimpl(optionalhook=True)"
    )


def _check_kind(hook: str, function: Callable[..., Any], *, wrapper: bool) -> None:
    """Refuse functions that return before their body runs: coroutines and generators, also decorated ones."""
    if wrapper and not inspect.isgeneratorfunction(function):
        raise PluginRefused(
            f"{hook} is declared with wrapper=True but is no generator function; it needs exactly one yield"
        )
    for depth, inner in enumerate(_unwrapped(function)):
        is_ = "is" if depth == 0 else "decorates"
        runs = (
            "make it a plain function" if depth == 0 else "decorate a plain function, and call it from there"
        )
        if inspect.iscoroutinefunction(inner):
            raise PluginRefused(f"{hook} {is_} an async def, which would never run; {runs}")
        if inspect.isasyncgenfunction(inner):
            raise PluginRefused(f"{hook} {is_} an async generator, which would never run; {runs}")
        if inspect.isgeneratorfunction(inner) and not wrapper and hook not in RETURNS_ITERABLE:
            raise PluginRefused(
                f"{hook} {is_} a generator, whose body would never run; take out the yield, {runs}"
            )


def _unwrapped(function: object) -> Iterator[Any]:
    """Yield a function, and the functions that its decorators wrap, from the outside to the inside."""
    seen: set[int] = set()
    while function is not ABSENT and id(function) not in seen:
        seen.add(id(function))
        yield function
        if has_type(function, MethodType):
            function = function.__func__  # type: ignore[attr-defined]
        elif has_type(function, functools.partial):
            function = function.func  # type: ignore[attr-defined]
        elif "__wrapped__" in stored_attributes(function):
            function = stored_attributes(function)["__wrapped__"]
        elif not has_type(function, FunctionType, type) and callable(function):
            function = inspect.getattr_static(type(function), "__call__", ABSENT)
        else:
            return


def _check_signature(hook: str, function: Callable[..., Any], spec: tuple[str, ...]) -> None:
    try:
        parameters = list(inspect.signature(function).parameters.values())
        outer = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError) as error:
        raise PluginRefused(
            f"{hook} has no readable signature ({error}); a method needs `self`, "
            f"and the arguments are ({', '.join(spec)})"
        ) from error
    for parameter in parameters:
        if parameter.name not in spec or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise PluginRefused(
                f"{hook} has the parameter {_shown(parameter)}, which does not fit the contract"
                f"{_hint(parameter, spec)}; its arguments are ({', '.join(spec)}), "
                "each a plain positional one"
            )
        if parameter.default is not parameter.empty:
            raise PluginRefused(f"{hook} gives {parameter.name} a default; remove it")
    try:
        outer.bind(*(parameter.name for parameter in parameters))
    except TypeError as error:
        names = ", ".join(parameter.name for parameter in parameters)
        raise PluginRefused(
            f"{hook} has a decorator that does not take ({names}) by position ({error}); give it *args"
        ) from error


def _shown(parameter: inspect.Parameter) -> str:
    return str(parameter.replace(annotation=parameter.empty, default=parameter.empty))


def _hint(parameter: inspect.Parameter, spec: Sequence[str]) -> str:
    """Return the remedy for a parameter that the hook does not have, with a separator before it."""
    if parameter.name in spec:
        return ""
    similar = [name for name in spec if parameter.name.strip("_") in name]
    if not similar and (remedy := equivalent(parameter)):
        return f"; {remedy}"
    near = similar or get_close_matches(parameter.name, spec, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
