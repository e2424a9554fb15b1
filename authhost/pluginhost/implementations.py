"""What a plugin object implements: the functions that pluggy would call, or why one cannot be called.

Attributes are looked up without running the plugin's code: no property is
evaluated, and ``__getattr__`` is not asked. The options of an implementation
are read by pluggy itself, from a function of ours with the same marker, so
that only pluggy's public interface is used.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import (
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple

import authhost_hookspecs as contract
import pluggy

from authhost.pluginhost.declarations import PluginRefused

SPEC_MODULES = (contract.account, contract.socialaccount, contract.extensions)
SPEC_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for module in SPEC_MODULES
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__
}
NOTIFICATIONS = frozenset(
    name
    for module in (contract.account, contract.socialaccount)
    for name, value in vars(module).items()
    if inspect.isfunction(value)
)
"""The fifteen documented signals."""
VETOES = frozenset({"before_signup", "before_login"})
LIFECYCLE = frozenset({"host_started", "host_stopping"})
GUARDED = NOTIFICATIONS | {
    "account_ready",
    "flow_refused",
    "password_reset_requested",
    "session_ended",
    "social_login_begun",
    "user_deactivated",
    "user_reauthenticated",
}
WRAPPABLE = GUARDED | {"deliver_message"}
ITERATED = frozenset({"register_providers", "register_commands"})
"""Their results are read to the end, so a generator function serves as well."""
ABSENT = object()


def _left_by_the_marker() -> frozenset[str]:
    def probe() -> None: ...

    contract.hookimpl(probe)
    return frozenset(vars(probe))


MARKS = _left_by_the_marker()
"""The attributes that `hookimpl` leaves on a function. What is in them is for pluggy to read."""


class Implementation(NamedTuple):
    """One function of a plugin, and the hook that calls it."""

    hook: str
    function: Callable[..., Any]
    """Bound to the plugin where it is a method."""
    wrapper: bool
    hookwrapper: bool
    tryfirst: bool
    trylast: bool
    optional: bool


def implementations_of(plugin: object) -> tuple[list[Implementation], list[str]]:
    """Return a plugin's implementations, and the optional hooks that this contract does not have.

    Raises `PluginRefused` for everything that would be ignored or would fail later.
    """
    if _is(plugin, type):
        raise PluginRefused(
            f"it is the class {plugin.__name__}; the entry point must name an instance or a module"  # type: ignore[attr-defined]
        )
    found: list[Implementation] = []
    unknown: list[str] = []
    for name, attribute, implementation in _attributes(plugin):
        if implementation is None:
            _check_unmarked(plugin, name, attribute)
            continue
        hook = implementation.hook
        if not _is(implementation.function, FunctionType, MethodType):
            raise PluginRefused(
                f"{_named(name, hook)} is a {type(attribute).__name__}, which pluggy would not call; "
                "decorate a plain function or method with @hookimpl"
            )
        if hook not in SPEC_ARGUMENTS and implementation.optional:
            unknown.append(hook)
            continue
        _check(implementation)
        if any(hook == other.hook for other in found):
            raise PluginRefused(f"{hook} is implemented twice; one of the two would never be called")
        found.append(implementation)
    if not found:
        only = f" but the optional {', '.join(unknown)}, which this contract does not have" if unknown else ""
        raise PluginRefused(
            f"it implements no hook{only}; decorate its functions with authhost_hookspecs.hookimpl"
        )
    return found, unknown


def marked(plugin: object) -> Iterator[Implementation]:
    """Each function of a plugin that bears the marker, whether it can be called or not."""
    return (implementation for _, _, implementation in _attributes(plugin) if implementation is not None)


def _attributes(plugin: object) -> Iterator[tuple[str, object, Implementation | None]]:
    """Each attribute by name, and what it implements."""
    for name in _names(plugin):
        attribute, stored = _attribute(plugin, name)
        called, bearers = _called(plugin, attribute, stored)
        options = next(filter(None, (_options(name, bearer) for bearer in bearers)), None)
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


def _is(value: object, *kinds: type) -> bool:
    """``isinstance`` by the real type: an object may claim another ``__class__``, or raise when asked."""
    return issubclass(type(value), kinds)


def _names(plugin: object) -> list[str]:
    names = set(_own(plugin))
    for kind in type.mro(type(plugin)):
        names.update(vars(kind))
    try:
        names.update(dir(plugin))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: S110
        pass  # what `__dir__` does not tell is found on the object and its classes
    return sorted(name for name in names if type(name) is str)


def _own(value: object) -> Mapping[str, Any]:
    """What is stored on an object itself; empty where that cannot be read."""
    try:
        stored = object.__getattribute__(value, "__dict__")
    except KeyboardInterrupt:
        raise
    except BaseException:
        return {}
    return stored if type(stored) in (dict, MappingProxyType) else {}


def _attribute(plugin: object, name: str) -> tuple[object, bool]:
    """An attribute, and whether it is stored on the object itself, so that it is not bound."""
    attribute: object = inspect.getattr_static(plugin, name, ABSENT)
    if _is(attribute, MemberDescriptorType):
        try:
            return attribute.__get__(plugin), True  # type: ignore[attr-defined]
        except AttributeError:
            return ABSENT, True
    return attribute, _own(plugin).get(name, ABSENT) is attribute


def _called(plugin: object, attribute: object, stored: bool) -> tuple[object, list[object]]:
    """What a call of the attribute calls, and the objects that may bear its marker."""
    called, bearers = attribute, [attribute]
    if not stored or _is(plugin, ModuleType):
        while _is(called, staticmethod):
            called = called.__func__  # type: ignore[attr-defined]
            bearers.append(called)
        if _is(called, classmethod):
            function = called.__func__  # type: ignore[attr-defined]
            bearers.append(function)
            called = MethodType(function, type(plugin)) if _is(function, FunctionType) else function
            return (called if _is(called, MethodType) else attribute), bearers
    if _is(called, MethodType):
        function = called.__func__  # type: ignore[attr-defined]
        bearers.append(function)
        return (called if _is(function, FunctionType) else function), bearers
    if _is(called, property):
        bearers.append(called.fget)  # type: ignore[attr-defined]
    elif _is(called, functools.cached_property):
        bearers.append(called.func)  # type: ignore[attr-defined]
    elif called is attribute and not stored and _is(called, FunctionType):
        called = MethodType(called, plugin)  # type: ignore[arg-type]
    return called, bearers


def _options(name: str, bearer: object) -> tuple[str, pluggy.HookImpl] | None:
    """The hook that is meant by the marker on ``bearer``, and the options; None without a marker."""
    own = _own(bearer)
    marks = {key: own[key] for key in MARKS if key in own}
    if not marks or _is(bearer, ModuleType):
        return None

    def probe() -> None: ...

    probe.__dict__.update(marks)
    manager, holder = pluggy.PluginManager(contract.PROJECT_NAME), SimpleNamespace(**{name: probe})
    manager.register(holder, "probe")
    for caller in manager.get_hookcallers(holder) or ():
        return caller.name, caller.get_hookimpls()[0]
    return None


def _named(name: str, hook: str) -> str:
    return name if name == hook else f"{name} (for {hook})"


def _check_unmarked(plugin: object, name: str, attribute: object) -> None:
    """Refuse what has a hook's name and looks like an implementation, but is none."""
    if name not in SPEC_ARGUMENTS:
        return
    if attribute is ABSENT:
        raise PluginRefused(
            f"{name} is answered by __getattr__ alone, which pluggy does not ask; "
            "let the entry point name the object that has it"
        )
    kind = type(attribute)
    if _is(plugin, ModuleType) and _is(attribute, FunctionType):
        home = str(_own(plugin).get("__name__")).partition(".")[0]
        if str(attribute.__module__).partition(".")[0] != home:
            return  # imported, for whatever the module does with it
    elif _is(attribute, property, functools.cached_property):
        raise PluginRefused(
            f"{name} is a {kind.__name__}, which pluggy does not evaluate; make it a function with @hookimpl"
        )
    elif not callable(attribute) and not any("__get__" in vars(each) for each in type.mro(kind)):
        return
    for ending in (mark.removeprefix(contract.PROJECT_NAME) for mark in MARKS):
        for key in _own(attribute):
            if type(key) is str and key.endswith(ending):
                project = key.removesuffix(ending)
                raise PluginRefused(
                    f"{name} bears the marker of project {project!r}; use authhost_hookspecs.hookimpl"
                )
    raise PluginRefused(f"{name} bears a hook's name but is not decorated; add @hookimpl, or rename it")


def _check(implementation: Implementation) -> None:
    hook, function, wrapper = implementation.hook, implementation.function, implementation.wrapper
    if hook not in SPEC_ARGUMENTS:
        near = get_close_matches(hook, SPEC_ARGUMENTS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; see `authhost hooks`"
        raise PluginRefused(f"there is no hook {hook!r}{hint}")
    if implementation.hookwrapper:
        raise PluginRefused(f"{hook} is an old-style hookwrapper; use @hookimpl(wrapper=True)")
    if wrapper and hook in VETOES:
        raise PluginRefused(f"{hook} may not be wrapped, since a wrapper could hide another plugin's refusal")
    if wrapper and hook not in WRAPPABLE:
        raise PluginRefused(f"{hook} may not be wrapped, since it is about each plugin by itself")
    _check_kind(hook, function, wrapper=wrapper)
    _check_signature(hook, function)


def _check_kind(hook: str, function: Callable[..., Any], *, wrapper: bool) -> None:
    """Refuse what returns at once without having run: coroutines and generators, also under decorators."""
    if wrapper and not inspect.isgeneratorfunction(function):
        raise PluginRefused(
            f"{hook} is declared with wrapper=True but is no generator function; it needs exactly one yield"
        )
    for depth, inner in enumerate(_layers(function)):
        is_ = "is" if depth == 0 else "decorates"
        runs = (
            "make it a plain function" if depth == 0 else "decorate a plain function, and call it from there"
        )
        if inspect.iscoroutinefunction(inner):
            raise PluginRefused(f"{hook} {is_} an async def, which would never run; {runs}")
        if inspect.isasyncgenfunction(inner):
            raise PluginRefused(f"{hook} {is_} an async generator, which would never run; {runs}")
        if inspect.isgeneratorfunction(inner) and not wrapper and hook not in ITERATED:
            raise PluginRefused(
                f"{hook} {is_} a generator, whose body would never run; take out the yield, {runs}"
            )


def _layers(function: object) -> Iterator[Any]:
    """A function, and what its decorators say that they wrap."""
    seen: set[int] = set()
    while function is not ABSENT and id(function) not in seen:
        seen.add(id(function))
        yield function
        if _is(function, MethodType):
            function = function.__func__  # type: ignore[attr-defined]
        elif _is(function, functools.partial):
            function = function.func  # type: ignore[attr-defined]
        elif "__wrapped__" in _own(function):
            function = _own(function)["__wrapped__"]
        elif not _is(function, FunctionType, type) and callable(function):
            function = inspect.getattr_static(type(function), "__call__", ABSENT)
        else:
            return


def _check_signature(hook: str, function: Callable[..., Any]) -> None:
    spec = SPEC_ARGUMENTS[hook]
    try:
        parameters = list(inspect.signature(function).parameters.values())
        outer = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError) as error:
        raise PluginRefused(
            f"{hook} has no signature that can be read ({error}); a method needs `self`, "
            f"and the arguments are ({', '.join(spec)})"
        ) from error
    for parameter in parameters:
        if parameter.name not in spec or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            near = get_close_matches(parameter.name, spec, 1)
            hint = f"; did you mean {near[0]!r}?" if near and near[0] != parameter.name else ""
            raise PluginRefused(
                f"{hook} asks for {parameter.name} in a way the contract does not offer{hint}; "
                f"its arguments are ({', '.join(spec)}), each a plain positional one"
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
