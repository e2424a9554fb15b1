"""The health and the metrics of a host and its plugins, for commands and monitoring pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from authhost_hookspecs import Health, HealthStatus, Host, Metric
from sqlalchemy.exc import DBAPIError

from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.host import AuthHost
from authhost.pluginhost.results import UnusableResult, function_name, usable
from authhost.store import migrate

log = logging.getLogger("authhost.plugins")
SECONDS_DIGITS = 6
CORE_METRICS = (
    "authhost_hook_calls_total",
    "authhost_hook_failures_total",
    "authhost_hook_seconds_total",
    "authhost_plugin_info",
)
"""A plugin cannot use these names, also if it is named ``hook`` or ``plugin``."""


class PartHealth(NamedTuple):
    """The state of one part of a host."""

    plugin: str | None
    """None for a part of authhost itself."""
    name: str
    status: HealthStatus
    detail: str


def health(host: AuthHost) -> list[PartHealth]:
    """Return the state of the database, the migrations, and what the plugins report.

    The database may be missing or out of date. A check that fails is ``failed``; its
    ``detail`` is the class of the error, since the text may contain secrets.
    """
    found = list(_database_health(host))
    checks, broken = host.registry.health_checks()
    for plugin, kind in broken.items():
        found.append(PartHealth(plugin, "health_checks", "failed", f"failed to load: {kind}"))
    for plugin, functions in checks.items():
        for function in functions:
            try:
                for each in usable("register_health", function(host), Health):
                    found.append(PartHealth(plugin, each.name, each.status, each.detail))
            except UnusableResult as error:
                detail = f"{error}; correct the plugin"
                found.append(PartHealth(plugin, function_name(function), "failed", detail))
            except PLUGIN_FAILURES as error:
                name = function_name(function)
                found.append(PartHealth(plugin, name, "failed", f"the check failed: {type(error).__name__}"))
    return found


def _database_health(host: AuthHost) -> Iterator[PartHealth]:
    try:
        histories = migrate.current(host.reader, host.migrations)
    except ConfigurationError as error:
        yield PartHealth(None, "database", "failed", str(error))
    except DBAPIError as error:
        yield PartHealth(None, "database", "failed", f"it cannot be used: {type(error.orig).__name__}")
    else:
        yield PartHealth(None, "database", "ok", "")
        if outdated := [name for name, state in histories.items() if not state.current]:
            detail = f"not up to date: {', '.join(outdated)}; run `authhost db upgrade`"
            yield PartHealth(None, "migrations", "failed", detail)
        else:
            yield PartHealth(None, "migrations", "ok", "")


def metrics(host: AuthHost) -> list[Metric]:
    """Return the metrics of the host and its plugins, in the order of their names.

    The numbers of hook calls are those of this process. A plugin's metric with a wrong name,
    with the name of another plugin's metric, or with the labels of another one, is logged and
    not returned.
    """
    found = [*_hook_metrics(host), *_plugin_states(host)]
    owners: dict[str, str | None] = dict.fromkeys(CORE_METRICS)
    names: dict[str, tuple[str, str]] = {}
    taken: set[object] = set()
    for plugin, functions in host.registry.metrics().items():
        prefix = f"authhost_{plugin.replace('-', '_').lower()}_"
        for each in _plugin_metrics(host, plugin, functions):
            if not each.name.startswith(prefix):
                log.error("plugin %s has the metric %s, which must start with %s", plugin, each.name, prefix)
            elif owners.setdefault(each.name, plugin) != plugin:
                owner = owners[each.name]
                other = f"plugin {owner}" if owner else "authhost itself"
                log.error("plugin %s has the metric %s, which %s has, too", plugin, each.name, other)
            elif names.setdefault(each.name, (each.kind, each.help)) != (each.kind, each.help):
                log.error("plugin %s has the metric %s with two kinds or help texts", plugin, each.name)
            elif _identity(each) in taken:
                log.error("plugin %s has the metric %s twice with the same labels", plugin, each.name)
            else:
                taken.add(_identity(each))
                found.append(each)
    return sorted(found, key=lambda each: each.name)


def _identity(metric: Metric) -> tuple[str, tuple[tuple[str, str], ...]]:
    return metric.name, tuple(sorted(metric.labels.items()))


def _plugin_metrics(
    host: AuthHost, plugin: str, functions: Iterable[Callable[[Host], Iterable[Metric]]]
) -> Iterator[Metric]:
    for function in functions:
        try:
            yield from usable("register_metrics", function(host), Metric)
        except UnusableResult as error:
            name = function_name(function)
            log.error("the metrics of plugin %s failed in %s: %s; correct the plugin", plugin, name, error)
        except PLUGIN_FAILURES as error:
            name = function_name(function)
            log.error("the metrics of plugin %s failed: %s in %s", plugin, type(error).__name__, name)


def _hook_metrics(host: AuthHost) -> Iterator[Metric]:
    for (plugin, hook), stats in sorted(host.plugin_stats().items()):
        labels = {"plugin": plugin, "hook": hook}
        seconds = round(stats.nanoseconds / 1e9, SECONDS_DIGITS)
        yield Metric("authhost_hook_calls_total", stats.calls, "counter", "Calls of hooks.", labels)
        yield Metric(
            "authhost_hook_failures_total", stats.failures, "counter", "Calls of hooks that failed.", labels
        )
        yield Metric("authhost_hook_seconds_total", seconds, "counter", "Time spent in hooks.", labels)


def _plugin_states(host: AuthHost) -> Iterator[Metric]:
    for record in host.registry.records:
        labels = {"plugin": record.name, "status": record.status}
        yield Metric("authhost_plugin_info", 1, "gauge", "The plugins that were found.", labels)
