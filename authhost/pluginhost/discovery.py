"""Finding plugins, and accepting each one whole or refusing it whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, NamedTuple

import authhost_hookspecs as contract
import pluggy

from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.pluginhost.declarations import PluginRefused, check_contract, declared_settings, declared_tables
from authhost.pluginhost.guard import (
    GuardedPlugin,
    HookStats,
    guard,
    guard_delivery,
    guard_delivery_wrapper,
    guard_lifecycle,
    guard_veto,
    guard_wrapper,
    timed,
)
from authhost.pluginhost.implementations import (
    GUARDED,
    LIFECYCLE,
    SPEC_MODULES,
    VETOES,
    Implementation,
    implementations_of,
)
from authhost.pluginhost.trace import Trace
from authhost.settings import Settings

log = logging.getLogger("authhost.plugins")


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
    unknown_hooks: tuple[str, ...] = ()
    """Hooks that it implements with ``optionalhook=True`` and that this contract does not have."""

    @property
    def stats(self) -> Mapping[str, HookStats]:
        """Calls, failures and time so far, by hook."""
        return self.guarded.stats if self.guarded is not None else {}


class PluginView:
    """What is registered with pluggy in a plugin's place: its functions under the guard, by hook."""


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
        found = [*sorted(extra.items()), *(installed() if discover else ())]
        for name, source in sorted(found, key=lambda pair: pair[0]):
            self.records.append(self._accept(name, source))
        # pluggy calls the last one registered first: this makes the order that of the names.
        for record in reversed(list(self.loaded())):
            self.manager.register(record.view, record.name)
        self._check_required()

    def _accept(self, name: str, source: object) -> PluginRecord:
        record = PluginRecord(name, "blocked")
        entry_point = _entry_point(source)
        distribution = entry_point.dist if entry_point is not None else None
        if distribution is not None:
            record.distribution, record.version = distribution.name, distribution.version
        if entry_point is not None:
            record.entry_point = entry_point.value
        allowed = self.settings.plugins
        if name in self.settings.blocked_plugins or (allowed is not None and name not in allowed):
            record.reason = "blocked by the settings"
            return record
        try:
            self._inspect(record, source, distribution)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever its attributes do when they are looked at
            record.status, record.reason, record.hooks = "refused", _reason(error), ()
            record.settings_class = record.tables = record.view = record.guarded = None
            log.warning("plugin %s was refused: %s", name, record.reason)
            if self.settings.strict:
                raise ConfigurationError(f"plugin {name} was refused: {record.reason}") from error
        else:
            record.status = "loaded"
            if record.unknown_hooks:
                unknown = ", ".join(record.unknown_hooks)
                log.debug("plugin %s implements %s, which this contract does not have", name, unknown)
        return record

    def _inspect(self, record: PluginRecord, source: object, distribution: Distribution | None) -> None:
        """Fill ``record``; raise `PluginRefused`, or whatever the plugin's code raises."""
        if any(each.name == record.name for each in self.loaded()):
            raise PluginRefused(
                f"another plugin is named {record.name!r}; rename its entry point or uninstall one of them"
            )
        check_contract(distribution)
        record.plugin = plugin = _load(source)
        same = next((each.name for each in self.loaded() if each.plugin is plugin), None)
        if same is not None:
            raise PluginRefused(
                f"it is the same object as plugin {same!r}, and would be called twice; "
                "take one of the two names away"
            )
        found, unknown = implementations_of(plugin)
        record.hooks, record.unknown_hooks = tuple(each.hook for each in found), tuple(unknown)
        functions = {each.hook: each.function for each in found}
        record.settings_class = declared_settings(functions)
        record.tables = declared_tables(functions)
        record.view = self._view(record, found)

    def _view(self, record: PluginRecord, implementations: list[Implementation]) -> PluginView:
        plugin = record.guarded = GuardedPlugin(
            record.name,
            record.name in self.settings.required_plugins,
            round(self.settings.slow_hook * 1e9),
        )
        view = PluginView()
        for each in implementations:
            function = each.function
            if self.trace is not None:
                function = self.trace.watched(record.name, each.hook, function)
            guarded = _guard_of(each.hook, wrapper=each.wrapper)(plugin, each.hook, function)
            marked = contract.hookimpl(wrapper=each.wrapper, tryfirst=each.tryfirst, trylast=each.trylast)
            setattr(view, each.hook, marked(guarded))
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
            except PLUGIN_FAILURES as error:
                _failed_to_load("commands", record, "register_commands", error)
                continue
            found |= {name: command for name, command in named.items() if name not in found}
        return found

    def providers(self) -> dict[str, contract.Provider]:
        """The plugins' providers of social login by id. A plugin whose providers fail to load has none."""
        found: dict[str, contract.Provider] = {}
        for record in self.loaded():
            if "register_providers" not in record.hooks:
                continue
            own: dict[str, contract.Provider] = {}
            try:
                for each in record.view.register_providers():
                    if isinstance(each, contract.Provider):
                        own.setdefault(each.id, each)
                    else:
                        log.error("plugin %s declares a %s as provider", record.name, type(each).__name__)
            except PLUGIN_FAILURES as error:
                _failed_to_load("providers", record, "register_providers", error)
                continue
            found |= {name: each for name, each in own.items() if name not in found}
        return found

    def checks(self) -> dict[str, list[Callable[[contract.Host], Iterable[contract.Finding]]]]:
        """The plugins' checks by plugin. A plugin whose checks fail to load has none."""
        found = {}
        for record in self.loaded():
            if "register_checks" not in record.hooks:
                continue
            try:
                found[record.name] = list(record.view.register_checks())
            except PLUGIN_FAILURES as error:
                _failed_to_load("checks", record, "register_checks", error)
        return found

    def loaded(self) -> Iterator[PluginRecord]:
        """The accepted plugins, in the order in which they are called."""
        return (record for record in self.records if record.status == "loaded")


def _failed_to_load(what: str, record: PluginRecord, hook: str, error: BaseException) -> None:
    at = record.guarded.place(hook, error) if record.guarded is not None else "?"
    log.error("the %s of plugin %s failed to load: %s at %s", what, record.name, type(error).__name__, at)


def _guard_of(hook: str, *, wrapper: bool) -> Callable[..., Callable[..., Any]]:
    """How an implementation of a hook is kept in bounds."""
    if hook in GUARDED:
        return guard_wrapper if wrapper else guard
    if hook in VETOES:
        return guard_veto
    if hook in LIFECYCLE:
        return guard_lifecycle
    if hook == "deliver_message":
        return guard_delivery_wrapper if wrapper else guard_delivery
    return timed


def installed() -> Iterator[tuple[str, Installed]]:
    """Yield the plugins of the installed distributions by name; nothing is imported."""
    for entry_point in entry_points(group=contract.PROJECT_NAME):
        yield entry_point.name, Installed(entry_point)


def _entry_point(source: object) -> EntryPoint | None:
    """By the real type: an object may raise when it is asked for its class."""
    return source.entry_point if type(source) is Installed else None


def _load(source: object) -> object:
    entry_point = _entry_point(source)
    if entry_point is None:
        return source
    try:
        return entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.skip and its like, too
        raise PluginRefused(
            f"{entry_point.value} does not import ({type(error).__name__}: {_text(error)}); "
            "repair or uninstall it, or block it"
        ) from error


def _reason(error: BaseException) -> str:
    """Why a plugin is refused, as a sentence."""
    if isinstance(error, PluginRefused):
        return str(error)
    kind = type(error).__name__
    return f"it cannot be inspected ({kind}: {_text(error)}); repair or uninstall it, or block it"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "an error without a text"
