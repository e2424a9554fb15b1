"""The health and the metrics of a host and its plugins, for commands and monitoring pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from authhost_hookspecs import Host, Metric

from authhost.errors import PLUGIN_FAILURES
from authhost.host import AuthHost
from authhost.operations.core_health import ALL as CORE_CHECKS
from authhost.operations.core_metrics import RESERVED, core_metrics
from authhost.operations.health_checks import Check, PartHealth, run_checks
from authhost.pluginhost.results import UnusableResult, function_name, usable

log = logging.getLogger("authhost.plugins")
CHECK_SECONDS = 5.0
"""How long the checks of a plugin may take."""


def health(host: AuthHost, *, timeout: float = CHECK_SECONDS) -> list[PartHealth]:
    """Return the state of authhost's parts, and what the plugins report.

    The database may be missing or out of date. All checks run at the same time, each on
    a thread of its own. One that fails, or takes longer than ``timeout`` seconds, is
    ``failed``; its ``detail`` is the class of the error, since the text may contain secrets.
    """
    checks: list[Check] = [Check(None, number, each) for number, each in enumerate(CORE_CHECKS)]
    registered, broken = host.registry.health_checks()
    for plugin, functions in registered.items():
        checks += [Check(plugin, number, each) for number, each in enumerate(functions)]
    not_loaded = [
        PartHealth(plugin, "health_checks", "failed", f"failed to load: {kind}")
        for plugin, kind in broken.items()
    ]
    blocked = [
        PartHealth(plugin, "blocked", "degraded", str(block))
        for plugin, block in host.services.blocked.items()
    ]
    return [*run_checks(host, checks, timeout), *not_loaded, *blocked]


def metrics(host: AuthHost) -> list[Metric]:
    """Return the metrics of the host and its plugins, in the order of their names.

    The numbers of flows, hook calls, threads and connections are those of this process. A
    plugin's metric with a wrong name, with the name of another plugin's metric, or with the
    labels of another one, is logged and not returned.
    """
    found = list(core_metrics(host))
    owners: dict[str, str | None] = dict.fromkeys(RESERVED)
    names: dict[str, tuple[str, str]] = {}
    taken: set[object] = set()
    for plugin, functions in host.registry.metrics().items():
        prefix = metric_prefix(plugin)
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


def metric_prefix(plugin: str) -> str:
    """Return how the names of a plugin's metrics begin."""
    return f"authhost_{plugin.replace('-', '_').lower()}_"


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
