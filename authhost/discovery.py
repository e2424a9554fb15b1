"""Finding plugins, and accepting each one whole or refusing it whole."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import authhost_hookspecs as contract
import pluggy

from authhost.declared import PluginRefused, check_contract, declared_settings, declared_tables
from authhost.errors import ConfigurationError
from authhost.guard import (
    FAILURES,
    GuardedPlugin,
    HookStats,
    guard,
    guard_delivery,
    guard_lifecycle,
    guard_veto,
    guard_wrapper,
    timed,
    timed_wrapper,
)
from authhost.settings import Settings
from authhost.trace import Trace

log = logging.getLogger("authhost.plugins")
T = TypeVar("T")

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
SPEC_MODULES = (contract.account, contract.socialaccount, contract.extensions)
SPEC_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for module in SPEC_MODULES
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__
}


class Installed(NamedTuple):
    """A plugin of an installed distribution, as opposed to an object that the application hands over.

    The class of an entry point tells nothing: the backport of `importlib.metadata` has one of its own.
    """

    entry_point: EntryPoint


@dataclass(slots=True)
class PluginRecord:
    """One plugin that was found, and what became of it."""

    name: str
    status: str
    """``loaded``, ``refused`` or ``blocked``."""
    distribution: str | None = None
    version: str | None = None
    entry_point: str | None = None
    """The module and the name of the object in it, as the distribution says."""
    reason: str | None = None
    hooks: tuple[str, ...] = ()
    plugin: object = None
    settings_class: type[Any] | None = None
    tables: contract.PluginTables | None = None
    guarded: GuardedPlugin | None = None
    view: Any = None
    """What pluggy knows of the plugin: its functions under the guard."""

    @property
    def stats(self) -> Mapping[str, HookStats]:
        """Calls, failures and time so far, by hook."""
        return self.guarded.stats if self.guarded is not None else {}


class PluginRegistry:
    """The plugins of one host; no state is shared between hosts."""

    def __init__(self, settings: Settings, extra: Mapping[str, object], *, discover: bool = True) -> None:
        self.settings = settings
        self.manager = pluggy.PluginManager(contract.PROJECT_NAME)
        for module in SPEC_MODULES:
            self.manager.add_hookspecs(module)
        self.trace = Trace() if settings.trace else None
        if self.trace is not None:
            self.manager.add_hookcall_monitoring(self.trace.before, self.trace.after)
        self.records: list[PluginRecord] = []
        found = [*sorted(extra.items()), *(_installed() if discover else ())]
        for name, source in sorted(found, key=lambda pair: pair[0]):
            self.records.append(self._accept(name, source))
        # pluggy calls the last one registered first: this makes the order that of the names.
        for record in reversed(list(self.loaded())):
            record.view = self._view(record)
            self.manager.register(record.view, record.name)
        self._check_required()

    def _accept(self, name: str, source: object) -> PluginRecord:
        record = PluginRecord(name, "blocked")
        distribution = source.entry_point.dist if isinstance(source, Installed) else None
        if distribution is not None:
            record.distribution, record.version = distribution.name, distribution.version
        if isinstance(source, Installed):
            record.entry_point = source.entry_point.value
        allowed = self.settings.plugins
        if name in self.settings.blocked_plugins or (allowed is not None and name not in allowed):
            record.reason = "blocked by the settings"
            return record
        try:
            if any(each.name == name for each in self.loaded()):
                raise PluginRefused(
                    f"another plugin is named {name!r}; rename its entry point or uninstall one of them"
                )
            check_contract(distribution)
            record.plugin = _load(source)
            implementations = {hook: function for hook, function, _ in _implementations(record.plugin)}
            record.hooks = tuple(implementations)
            record.settings_class = declared_settings(implementations)
            record.tables = declared_tables(implementations)
        except PluginRefused as refusal:
            record.status, record.reason, record.hooks = "refused", str(refusal), ()
            log.warning("plugin %s was refused: %s", name, refusal)
            if self.settings.strict:
                raise ConfigurationError(f"plugin {name} was refused: {refusal}") from refusal
        else:
            record.status = "loaded"
        return record

    def _view(self, record: PluginRecord) -> object:
        plugin = record.guarded = GuardedPlugin(
            record.name,
            record.name in self.settings.required_plugins,
            round(self.settings.slow_hook * 1e9),
        )
        view = SimpleNamespace()
        for hook, function, options in _implementations(record.plugin):
            if self.trace is not None:
                function = self.trace.watched(record.name, hook, function)
            guarded = _guard_of(hook, wrapper=options["wrapper"])(plugin, hook, function)
            contract.hookimpl(
                wrapper=options["wrapper"], tryfirst=options["tryfirst"], trylast=options["trylast"]
            )(guarded)
            setattr(view, hook, guarded)
        return view

    def _check_required(self) -> None:
        status = {record.name: record for record in self.records}
        for name in self.settings.required_plugins:
            record = status.get(name)
            if record is None:
                raise ConfigurationError(
                    f"required plugin {name!r} is not installed; `pip install authhost-{name}` may bring it"
                )
            if record.status != "loaded":
                raise ConfigurationError(f"required plugin {name!r} is {record.status}: {record.reason}")

    def commands(self) -> dict[str, Any]:
        """The plugins' commands by name. A plugin whose commands fail to load has none."""
        found: dict[str, Any] = {}
        for record in self.loaded():
            if "register_commands" not in record.hooks:
                continue
            try:
                commands = record.view.register_commands()
                named = {command.name: command for command in commands}
            except FAILURES as error:
                log.error("the commands of plugin %s failed to load: %s", record.name, type(error).__name__)
                continue
            found |= {name: command for name, command in named.items() if name not in found}
        return found

    def providers(self) -> dict[str, contract.Provider]:
        """The plugins' providers of social login by id. A plugin whose providers fail to load has none."""
        found: dict[str, contract.Provider] = {}
        for record in self.loaded():
            if "register_providers" not in record.hooks:
                continue
            try:
                declared = list(record.view.register_providers())
            except FAILURES as error:
                log.error("the providers of plugin %s failed to load: %s", record.name, type(error).__name__)
                continue
            for each in declared:
                if isinstance(each, contract.Provider):
                    found.setdefault(each.id, each)
                else:
                    log.error("plugin %s declares a %s as provider", record.name, type(each).__name__)
        return found

    def checks(self) -> dict[str, list[Callable[[contract.Host], Iterable[contract.Finding]]]]:
        """The plugins' checks by plugin. A plugin whose checks fail to load has none."""
        found = {}
        for record in self.loaded():
            if "register_checks" not in record.hooks:
                continue
            try:
                found[record.name] = list(record.view.register_checks())
            except FAILURES as error:
                log.error("the checks of plugin %s failed to load: %s", record.name, type(error).__name__)
        return found

    def loaded(self) -> Iterator[PluginRecord]:
        """The accepted plugins, in the order in which they are called."""
        return (record for record in self.records if record.status == "loaded")


def _guard_of(hook: str, *, wrapper: bool) -> Callable[..., Callable[..., Any]]:
    """How an implementation of a hook is kept in bounds."""
    if hook in GUARDED:
        return guard_wrapper if wrapper else guard
    if hook in VETOES:
        return guard_veto
    if hook in LIFECYCLE:
        return guard_lifecycle
    if hook == "deliver_message":
        return timed_wrapper if wrapper else guard_delivery
    return timed


def _installed() -> Iterator[tuple[str, Installed]]:
    for entry_point in entry_points(group=contract.PROJECT_NAME):
        yield entry_point.name, Installed(entry_point)


def _load(source: object) -> object:
    if not isinstance(source, Installed):
        return source
    try:
        return source.entry_point.load()
    except (Exception, SystemExit) as error:
        raise PluginRefused(
            f"{source.entry_point.value} does not import ({type(error).__name__}: {error}); "
            "repair or uninstall it, or block it"
        ) from error


def _implementations(plugin: object) -> list[tuple[str, Callable[..., Any], Mapping[str, Any]]]:
    """List a plugin's hooks, or raise `PluginRefused` for what would go wrong later."""
    if inspect.isclass(plugin):
        raise PluginRefused(
            f"it is the class {plugin.__name__}; the entry point must name an instance or a module"
        )
    found: list[tuple[str, Callable[..., Any], Mapping[str, Any]]] = []
    for name in dir(plugin):
        if name.startswith("__"):
            continue
        function = inspect.getattr_static(plugin, name)
        options = getattr(function, f"{contract.PROJECT_NAME}_impl", None)
        if options is None:
            _check_undecorated(plugin, name, function)
            continue
        hook = options.get("specname") or name
        _check_signature(hook, function, options)
        if any(hook == other for other, _, _ in found):
            raise PluginRefused(f"{hook} is implemented twice; one of the two would never be called")
        found.append((hook, getattr(plugin, name), options))
    if not found:
        raise PluginRefused("it implements no hook; decorate its functions with authhost_hookspecs.hookimpl")
    return found


def _check_undecorated(plugin: object, name: str, function: object) -> None:
    if not inspect.isroutine(function):
        return
    for attribute in getattr(function, "__dict__", ()):
        if attribute.endswith("_impl") and name in SPEC_ARGUMENTS:
            raise PluginRefused(
                f"{name} bears the marker of project {attribute[:-5]!r}; use authhost_hookspecs.hookimpl"
            )
    own_module = getattr(plugin, "__name__", None) or type(plugin).__module__
    if name in SPEC_ARGUMENTS and getattr(function, "__module__", None) == own_module:
        raise PluginRefused(f"{name} bears a hook's name but is not decorated; add @hookimpl")


def _check_signature(hook: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    spec = SPEC_ARGUMENTS.get(hook)
    if spec is None:
        near = get_close_matches(hook, SPEC_ARGUMENTS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; see `authhost hooks`"
        raise PluginRefused(f"there is no hook {hook!r}{hint}")
    if options.get("hookwrapper"):
        raise PluginRefused(f"{hook} is an old-style hookwrapper; use @hookimpl(wrapper=True)")
    if options.get("wrapper") and hook in VETOES:
        raise PluginRefused(f"{hook} may not be wrapped, since a wrapper could hide another plugin's refusal")
    if options.get("wrapper") and hook not in WRAPPABLE:
        raise PluginRefused(f"{hook} may not be wrapped, since it is about each plugin by itself")
    if inspect.iscoroutinefunction(function):
        raise PluginRefused(f"{hook} is an async def, which would never run; make it a plain function")
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    for parameter in parameters:
        if parameter.name not in spec or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            near = get_close_matches(parameter.name, spec, 1)
            hint = f"; did you mean {near[0]!r}?" if near and near[0] != parameter.name else ""
            raise PluginRefused(
                f"{hook} asks for {parameter} in a way the contract does not offer{hint}; "
                f"its arguments are ({', '.join(spec)}), each a plain positional one"
            )
        if parameter.default is not parameter.empty:
            raise PluginRefused(f"{hook} gives {parameter.name} a default; remove it")
