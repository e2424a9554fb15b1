"""Finds the installed plugins, and accepts or refuses each one as a whole."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from itertools import takewhile
from typing import NamedTuple

import authhost_hookspecs as contract
import pluggy

from authhost.base_errors import RequiredPluginMissing
from authhost.errors import ConfigurationError
from authhost.pluginhost.attributes import Implementation
from authhost.pluginhost.declarations import PluginRefused, check_contract, declared_settings, declared_tables
from authhost.pluginhost.guard import guard_for
from authhost.pluginhost.hooks import SPEC_MODULES
from authhost.pluginhost.implementations import hookspecs_of, implementations_of
from authhost.pluginhost.plugin import GuardedPlugin
from authhost.pluginhost.plugin_records import PluginRecord, PluginRecords
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


class PluginView:
    """The object that is registered with pluggy instead of the plugin: one guarded function for each hook."""

    def __dir__(self) -> list[str]:
        return list(vars(self))  # pluggy looks at all of it, so at nothing that every object has


class PluginRegistry(PluginRecords):
    """Finds the plugins of one host, and accepts or refuses them; no state is shared between hosts."""

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
        found = [*sorted(extra.items()), *(installed() if discover else ())]
        sources = [
            (PluginRecord(name, FOUND), source) for name, source in sorted(found, key=lambda pair: pair[0])
        ]
        super().__init__(record for record, _ in sources)
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
                distribution = f"authhost-{name.replace('_', '-')}"
                raise RequiredPluginMissing(
                    f"required plugin {name!r} is not installed; run `pip install {distribution}`, "
                    "or install the distribution that provides it",
                    name,
                )
            if record.status != "loaded":
                message = f"required plugin {name!r} is {record.status}: {record.reason}"
                raise RequiredPluginMissing(message, name)


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
