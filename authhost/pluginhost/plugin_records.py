"""The plugins of one host: whether each was loaded, and what it registers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import authhost_hookspecs as contract

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.blocks import Block
from authhost.pluginhost.plugin import GuardedPlugin, HookStats

log = logging.getLogger("authhost.plugins")


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


class PluginRecords:
    """The plugins of one host, in the order in which they are called."""

    def __init__(self, records: Iterable[PluginRecord]) -> None:
        self.records = list(records)
        self.blocked: Mapping[str, Block] = {}
        """The accepted plugins that are blocked at run time."""

    def loaded(self) -> Iterator[PluginRecord]:
        """Yield the accepted plugins, in the order in which they are called."""
        return (record for record in self.records if record.status == "loaded")

    def active(self) -> Iterator[PluginRecord]:
        """Yield the accepted plugins that are not blocked at run time."""
        return (record for record in self.loaded() if record.name not in self.blocked)

    def views(self, *, but: str) -> dict[str, object]:
        """Return the registered objects of all plugins but one, by name."""
        return {record.name: record.view for record in self.loaded() if record.name != but}

    def guarded(self, name: str) -> GuardedPlugin:
        """Return the guard of a loaded plugin; raises ``KeyError``."""
        found = next((each.guarded for each in self.loaded() if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

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


def _failed_to_load(what: str, record: PluginRecord, hook: str, error: BaseException) -> None:
    at = record.guarded.location(hook, error) if record.guarded is not None else "?"
    log.error("the %s of plugin %s failed to load: %s at %s", what, record.name, type(error).__name__, at)
