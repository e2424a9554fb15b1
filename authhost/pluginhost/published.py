"""The hooks that plugins publish with `register_hookspecs`, and the checks of their specifications.

A published hook is a notification: it is guarded, timed and counted like those of the contract.
"""

from __future__ import annotations

import inspect
import keyword
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, NamedTuple

import authhost_hookspecs as contract
import pluggy

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.declarations import PluginRefused
from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.pluginhost.reference import HookReference, parse
from authhost.pluginhost.results import check_ran

FIRST_ARGUMENT = "request"
RESERVED_PREFIXES = ("register_", "_")
"""Names that a published hook cannot have: the contract may add hooks that register something."""


class PublishedHook(NamedTuple):
    """A hook that a plugin publishes."""

    name: str
    plugin: str
    """The plugin that publishes it, and that calls it."""
    arguments: tuple[str, ...]
    """All arguments, ``request`` first."""
    spec: Callable[..., None]
    reference: HookReference


class HookSpecs:
    """All hooks of one host: those of the contract, and those that its plugins publish."""

    def __init__(self) -> None:
        self.arguments: dict[str, tuple[str, ...]] = dict(SPEC_ARGUMENTS)
        """The arguments of each hook."""
        self.published: dict[str, PublishedHook] = {}
        self.withdrawn: dict[str, str] = {}
        """The hooks of refused plugins: the name of the plugin by that of the hook."""

    def publish(self, hooks: Iterable[PublishedHook]) -> None:
        """Add the hooks of one plugin. Raises `PluginRefused` if another plugin publishes one of them."""
        added = list(hooks)
        for each in added:
            other = self.published.get(each.name)
            if other is not None:
                raise PluginRefused(
                    f"it publishes the hook {each.name}, which the plugin {other.plugin} publishes too; "
                    "block or uninstall one of the two plugins"
                )
        for each in added:
            self.published[each.name] = each
            self.arguments[each.name] = each.arguments

    def withdraw(self, plugin: str) -> list[str]:
        """Remove the hooks of a plugin that was refused; return their names."""
        names = [name for name, each in self.published.items() if each.plugin == plugin]
        for name in names:
            del self.published[name], self.arguments[name]
            self.withdrawn[name] = plugin
        return names

    def namespace(self) -> type:
        """Return a class with the specifications of the published hooks, for pluggy."""
        return type("Published", (), {name: staticmethod(each.spec) for name, each in self.published.items()})


CONTRACT = HookSpecs()
"""The hooks of the contract, without those that plugins publish."""


def published_hooks(plugin: str, register: Callable[[], Any]) -> list[PublishedHook]:
    """Call the ``register_hookspecs`` of a plugin, and check its result. Raises `PluginRefused`."""
    try:
        declared = register()
        check_ran(declared)
    except PLUGIN_FAILURES as error:
        raise PluginRefused(
            f"register_hookspecs failed ({type(error).__name__}: {error}); "
            "repair or uninstall it, or block it"
        ) from error
    if type(declared) not in (list, tuple):
        raise PluginRefused(f"register_hookspecs must return a list, not {type(declared).__name__}")
    found: dict[str, PublishedHook] = {}
    for spec in declared:
        each = _published_hook(plugin, spec)
        if each.name in found:
            raise PluginRefused(f"it publishes the hook {each.name} twice; remove one of the two")
        found[each.name] = each
    return list(found.values())


def _published_hook(plugin: str, spec: Any) -> PublishedHook:
    if type(spec) is not FunctionType:
        raise PluginRefused(
            f"register_hookspecs returned a {type(spec).__name__}; return functions decorated with @hookspec"
        )
    name = spec.__name__
    options = _spec_options(spec)
    if options is None:
        raise PluginRefused(f"its hook {name} has no marker; decorate it with authhost_hookspecs.hookspec")
    if options.get("firstresult") or options.get("historic"):
        raise PluginRefused(
            f"its hook {name} is firstresult or historic, but a published hook is a notification; "
            "use a plain @hookspec"
        )
    if name in SPEC_ARGUMENTS:
        raise PluginRefused(f"its hook {name} is a hook of the contract; give it another name")
    if name.startswith(RESERVED_PREFIXES) or not name.isidentifier():
        raise PluginRefused(f"its hook {name} has a reserved name; it may not begin with register_ or _")
    if keyword.iskeyword(name) or unicodedata.normalize("NFKC", name) != name:
        raise PluginRefused(f"its hook {name} cannot be implemented: Python has no function with this name")
    if inspect.iscoroutinefunction(spec) or inspect.isgeneratorfunction(spec):
        raise PluginRefused(f"its hook {name} must be a plain function, neither async nor a generator")
    arguments = _arguments(name, spec)
    try:
        reference = parse(name, spec)
    except ValueError as error:
        raise PluginRefused(f"{error}; see `authhost hooks register_hookspecs`") from error
    return PublishedHook(name, plugin, arguments, spec, reference)


def _arguments(name: str, spec: Callable[..., Any]) -> tuple[str, ...]:
    parameters = list(inspect.signature(spec).parameters.values())
    if not parameters or parameters[0].name != FIRST_ARGUMENT:
        raise PluginRefused(f"its hook {name} must have {FIRST_ARGUMENT} as its first argument")
    for each in parameters:
        if each.kind is not each.POSITIONAL_OR_KEYWORD or each.default is not each.empty:
            raise PluginRefused(
                f"its hook {name} has the argument {each.name}, which must be a plain one without a default"
            )
        if each.name.startswith("_"):
            raise PluginRefused(f"its hook {name} has the argument {each.name}; it may not begin with _")
    return tuple(each.name for each in parameters)


def _spec_options(spec: FunctionType) -> Mapping[str, Any] | None:
    """Return the options of the marker `hookspec`, or None without a marker. pluggy itself reads them."""
    manager = pluggy.PluginManager(contract.PROJECT_NAME)
    return manager.parse_hookspec_opts(type("Spec", (), {"spec": staticmethod(spec)}), "spec")
