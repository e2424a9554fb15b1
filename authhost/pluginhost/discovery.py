"""Finds the installed plugins, and accepts or refuses each one as a whole."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import takewhile
from typing import Any, NamedTuple

import authhost_hookspecs as contract
import pluggy

from authhost.base_errors import RequiredPluginMissing
from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.pluginhost.attributes import Implementation
from authhost.pluginhost.blocks import Block
from authhost.pluginhost.declarations import PluginRefused, check_contract, declared_settings, declared_tables
from authhost.pluginhost.guard import guard_for
from authhost.pluginhost.hooks import SPEC_MODULES
from authhost.pluginhost.implementations import hookspecs_of, implementations_of
from authhost.pluginhost.plugin import GuardedPlugin, HookStats
from authhost.pluginhost.published import HookSpecs, published_hooks
from authhost.pluginhost.trace import Trace
from authhost.settings import Settings
from authhost.telemetry.spans import Spans

log = logging.getLogger("authhost.plugins")

FOUND = "found"
"""The status of a plugin that is neither accepted nor refused yet."""


class Installed(NamedTuple):
    """A plugin of an installed distribution, as opposed to an object that the application passes.

    It wraps the entry point, whose class varies: the backport of `importlib.metadata` has its own.
    """

    entry_point: EntryPoint


@dataclass(slots=True)
class PluginRecord:
    """A plugin that was found, and whether it was loaded, refused or blocked."""

    name: str
    status: str
    """``loaded``, ``refused`` or ``blocked``."""
    distribution: str | None = None
    version: str | None = None
    entry_point: str | None = None
    """The value of the entry point: the module, and the name of the object in it."""
    reason: str | None = None
    hooks: tuple[str, ...] = ()
    plugin: object = None
    settings_class: type[Any] | None = None
    tables: contract.PluginTables | None = None
    guarded: GuardedPlugin | None = None
    view: Any = None
    """The `PluginView` that is registered with pluggy."""
    functions: tuple[Callable[..., Any], ...] = ()
    """Its implementations, as they are in its code."""
    unknown_hooks: tuple[str, ...] = ()
    """Hooks of ``optionalhook=True`` implementations that neither the contract nor a plugin has."""
    published: tuple[str, ...] = ()
    """The hooks that it publishes with `register_hookspecs`."""
    providers: frozenset[str] = frozenset()
    """The ids of the providers of social login that it declares, once they were asked for."""

    @property
    def stats(self) -> Mapping[str, HookStats]:
        """The calls, failures and time so far, by hook."""
        return self.guarded.stats if self.guarded is not None else {}


class PluginView:
    """The object that is registered with pluggy instead of the plugin: one guarded function for each hook."""

    def __dir__(self) -> list[str]:
        return list(vars(self))  # pluggy looks at all of it, so at nothing that every object has


class PluginRegistry:
    """The plugins of one host; no state is shared between hosts."""

    def __init__(
        self,
        settings: Settings,
        extra: Mapping[str, object],
        *,
        discover: bool = True,
        spans: Spans | None = None,
    ) -> None:
        self.settings = settings
        self._spans = spans
        self.manager = pluggy.PluginManager(contract.PROJECT_NAME)
        for module in SPEC_MODULES:
            self.manager.add_hookspecs(module)
        self.trace = Trace() if settings.trace else None
        if self.trace is not None:
            self.manager.add_hookcall_monitoring(self.trace.before, self.trace.after)
        self.specs = HookSpecs()
        self.blocked: Mapping[str, Block] = {}
        """The accepted plugins that are blocked at run time."""
        found = [*sorted(extra.items()), *(installed() if discover else ())]
        sources = [
            (PluginRecord(name, FOUND), source) for name, source in sorted(found, key=lambda pair: pair[0])
        ]
        self.records = [record for record, _ in sources]
        for record, source in sources:
            self._load(record, source)
        self._accept_all()
        if self.specs.published:
            self.manager.add_hookspecs(self.specs.namespace())
        # pluggy calls the last registered plugin first, so this gives alphabetical order.
        for record in reversed(list(self.loaded())):
            self._register(record)
        self._check_required()

    def _load(self, record: PluginRecord, source: object) -> None:
        """Import a plugin and read the hooks that it publishes, unless the settings block it."""
        name, entry_point = record.name, _entry_point(source)
        distribution = entry_point.dist if entry_point is not None else None
        if distribution is not None:
            record.distribution, record.version = distribution.name, distribution.version
        if entry_point is not None:
            record.entry_point = entry_point.value
        allowed = self.settings.plugins
        if name in self.settings.blocked_plugins or (allowed is not None and name not in allowed):
            record.status, record.reason = "blocked", "blocked by the settings"
            return
        with self._refusing(record):
            check_contract(distribution)
            record.plugin = _load(source)
            if not any(each.plugin is record.plugin or each.name == name for each in self._before(record)):
                self._publish(record)

    def _before(self, record: PluginRecord) -> Iterator[PluginRecord]:
        """Yield the plugins before ``record`` that were found and not refused."""
        others = takewhile(lambda each: each is not record, self.records)
        return (each for each in others if each.status == FOUND)

    def _publish(self, record: PluginRecord) -> None:
        register = hookspecs_of(record.plugin)
        if register is not None:
            hooks = published_hooks(record.name, register.function)
            self.specs.publish(hooks)
            record.published = tuple(each.name for each in hooks)

    def _accept_all(self) -> None:
        """Accept or refuse every plugin that was found.

        A plugin that is refused publishes nothing. So the plugins that implement one of its hooks are
        checked again.
        """
        waiting = [record for record in self.records if record.status == FOUND]
        while waiting:
            for record in waiting:
                self._accept(record)
            withdrawn = {
                hook for record in waiting if record.status == "refused" for hook in record.published
            }
            for record in [each for each in waiting if each.status == "refused"]:
                self.specs.withdraw(record.name)
                record.published = ()
            waiting = [record for record in self.loaded() if withdrawn.intersection(record.hooks)]
            for record in waiting:
                record.status = FOUND

    def _accept(self, record: PluginRecord) -> None:
        with self._refusing(record):
            self._inspect(record)
            record.status = "loaded"
            if record.unknown_hooks:
                unknown = ", ".join(record.unknown_hooks)
                log.debug("plugin %s implements %s, which this contract does not have", record.name, unknown)

    @contextmanager
    def _refusing(self, record: PluginRecord) -> Iterator[None]:
        """Refuse the plugin if the block fails. Raises `ConfigurationError` with the setting ``strict``."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's attributes may raise anything when they are read
            record.status, record.reason, record.hooks = "refused", _reason(error), ()
            record.settings_class = record.tables = record.view = record.guarded = None
            log.warning("plugin %s was refused: %s", record.name, record.reason)
            if self.settings.strict:
                raise ConfigurationError(f"plugin {record.name} was refused: {record.reason}") from error

    def _inspect(self, record: PluginRecord) -> None:
        """Fill ``record``. Raises `PluginRefused`, or any exception of the plugin's code."""
        if any(each.name == record.name for each in self.loaded()):
            raise PluginRefused(
                f"another plugin is named {record.name!r}; rename its entry point or uninstall one of them"
            )
        plugin = record.plugin
        same = next((each.name for each in self.loaded() if each.plugin is plugin), None)
        if same is not None:
            raise PluginRefused(
                f"it is the same object as plugin {same!r}, and would be called twice; "
                "remove one of the two names"
            )
        found, unknown = implementations_of(plugin, self.specs)
        record.hooks, record.unknown_hooks = tuple(each.hook for each in found), tuple(unknown)
        record.functions = tuple(each.function for each in found)
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
                function = self.trace.traced(record.name, each.hook, function)
            if self._spans is not None and not each.hook.startswith("register_"):
                function = self._spans.traced(record.name, each.hook, function)
            guarded = guard_for(each.hook, wrapper=each.wrapper)(plugin, each.hook, function)
            plugin.functions[each.hook] = each.function  # of the plugin itself: failures and jobs name it
            marked = contract.hookimpl(wrapper=each.wrapper, tryfirst=each.tryfirst, trylast=each.trylast)
            setattr(view, each.hook, marked(guarded))
        return view

    def _register(self, record: PluginRecord) -> None:
        """Register a plugin with pluggy. Warnings about deprecated hooks name the plugin's code.

        pluggy warns with the place of the function that it registers, which is the guard.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.manager.register(record.view, record.name)
        functions = {each.__name__: each for each in record.functions}
        for each in caught:
            function = functions.get(each.filename.removeprefix("<guard of ").removesuffix(">"))
            code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
            if function is None or code is None:
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
                continue
            place = code.co_filename, code.co_firstlineno
            warnings.warn_explicit(each.message, each.category, *place, module=function.__module__)

    def _check_required(self) -> None:
        status = {record.name: record for record in self.records}
        for name in self.settings.required_plugins:
            record = status.get(name)
            if record is None:
                raise RequiredPluginMissing(
                    f"required plugin {name!r} is not installed; run `pip install authhost-{name}`, "
                    "or install the distribution that provides it",
                    name,
                )
            if record.status != "loaded":
                message = f"required plugin {name!r} is {record.status}: {record.reason}"
                raise RequiredPluginMissing(message, name)

    def commands(self) -> dict[str, Any]:
        """Return the plugins' commands by name. A failure to load them is logged."""
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
        """Return the plugins' providers of social login by id. A failure to load them is logged."""
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
            record.providers = frozenset(own.keys() - found.keys())
            found |= {name: each for name, each in own.items() if name not in found}
        return found

    def checks(self) -> dict[str, list[Callable[[contract.Host], Iterable[contract.Finding]]]]:
        """Return the checks of ``authhost check`` by plugin. A failure to load them is logged."""
        return self._registered("register_checks", "checks")[0]

    def health_checks(
        self,
    ) -> tuple[dict[str, list[Callable[[contract.Host], Iterable[contract.Health]]]], dict[str, str]]:
        """Return the health checks by plugin; and the class of the error of those that failed to load."""
        return self._registered("register_health", "health checks")

    def maintenance(self) -> tuple[dict[str, list[Callable[[contract.Host], str]]], dict[str, str]]:
        """Return the daily tasks by plugin; and the class of the error of those that failed to load."""
        return self._registered("register_maintenance", "maintenance")

    def keys(self) -> dict[str, list[contract.ManagedKey]]:
        """Return the keys for ``authhost keys`` by plugin. A failure to load them is logged."""
        return self._registered("register_keys", "keys")[0]

    def metrics(self) -> dict[str, list[Callable[[contract.Host], Iterable[contract.Metric]]]]:
        """Return the functions that yield metrics, by plugin. A failure to load them is logged."""
        return self._registered("register_metrics", "metrics")[0]

    def routes(self) -> dict[str, list[contract.PageRoute | contract.ApiRoute]]:
        """Return the pages and JSON endpoints by plugin, also of blocked ones. A failure is logged."""
        return self._registered("register_routes", "routes", self.loaded())[0]

    def panels(
        self,
    ) -> dict[
        str,
        list[Callable[[contract.Request], contract.Section | None] | contract.Panel | contract.AdminPanel],
    ]:
        """Return the sections of pages of the core by plugin, also of blocked ones. A failure is logged."""
        return self._registered("register_panels", "panels", self.loaded())[0]

    def guarded(self, name: str) -> GuardedPlugin:
        """Return the guard of a loaded plugin; raises ``KeyError``."""
        found = next((each.guarded for each in self.loaded() if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def _registered(
        self, hook: str, what: str, records: Iterable[PluginRecord] | None = None
    ) -> tuple[dict[str, list[Any]], dict[str, str]]:
        """Call a ``register_…`` hook; return the lists by plugin, and the classes of errors by plugin.

        ``records`` are by default those of the plugins that are not blocked.
        """
        found: dict[str, list[Any]] = {}
        failed: dict[str, str] = {}
        for record in records if records is not None else self.active():
            if hook not in record.hooks:
                continue
            try:
                found[record.name] = list(getattr(record.view, hook)())
            except PLUGIN_FAILURES as error:
                failed[record.name] = type(error).__name__
                _failed_to_load(what, record, hook, error)
        return found, failed

    def loaded(self) -> Iterator[PluginRecord]:
        """Yield the accepted plugins, in the order in which they are called."""
        return (record for record in self.records if record.status == "loaded")

    def active(self) -> Iterator[PluginRecord]:
        """Yield the accepted plugins that are not blocked at run time."""
        return (record for record in self.loaded() if record.name not in self.blocked)

    def views(self, *, but: str) -> dict[str, object]:
        """Return the registered objects of all plugins but one, by name."""
        return {record.name: record.view for record in self.loaded() if record.name != but}


def _failed_to_load(what: str, record: PluginRecord, hook: str, error: BaseException) -> None:
    at = record.guarded.location(hook, error) if record.guarded is not None else "?"
    log.error("the %s of plugin %s failed to load: %s at %s", what, record.name, type(error).__name__, at)


def installed() -> Iterator[tuple[str, Installed]]:
    """Yield the plugins of the installed distributions by name; nothing is imported."""
    for entry_point in entry_points(group=contract.PROJECT_NAME):
        yield entry_point.name, Installed(entry_point)


def _entry_point(source: object) -> EntryPoint | None:
    """The check uses the real type: ``__class__`` of an object may raise."""
    return source.entry_point if type(source) is Installed else None


def _load(source: object) -> object:
    entry_point = _entry_point(source)
    if entry_point is None:
        return source
    try:
        return entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # includes the exception of pytest.skip
        raise PluginRefused(
            f"{entry_point.value} cannot be imported ({type(error).__name__}: {_text(error)}); "
            "repair or uninstall it, or block it"
        ) from error


def _reason(error: BaseException) -> str:
    """Return the reason of a refusal, as a sentence."""
    if isinstance(error, PluginRefused):
        return str(error)
    kind = type(error).__name__
    return f"it cannot be inspected ({kind}: {_text(error)}); repair or uninstall it, or block it"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "an error without a text"
