"""The metrics of authhost itself. All numbers are those of this process."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Metric
from sqlalchemy import QueuePool

from authhost.host import AuthHost

SECONDS_DIGITS = 6
FLOW_DURATION = "authhost_flow_duration_seconds"
"""The histogram of the times of flows, which only the text format of Prometheus has."""
CORE_METRICS = (
    "authhost_background_jobs",
    "authhost_database_connections",
    "authhost_flow_seconds_total",
    "authhost_flows_total",
    "authhost_hook_calls_total",
    "authhost_hook_failures_total",
    "authhost_hook_seconds_total",
    "authhost_password_hashes_waiting",
    "authhost_plugin_blocked_seconds",
    "authhost_plugin_info",
)
"""A plugin cannot use these names, also if it is named ``hook`` or ``plugin``."""
RESERVED = (*CORE_METRICS, *(FLOW_DURATION + end for end in ("", "_bucket", "_count", "_sum")))


def core_metrics(host: AuthHost) -> Iterator[Metric]:
    """Yield the metrics of authhost itself.

    The values of labels are names of flows, hooks and plugins, and codes of refusals.
    """
    yield from _flows(host)
    yield from _hooks(host)
    yield from _queues(host)
    yield from _connections(host)
    for plugin, block in host.services.blocked.items():
        seconds = max(0.0, round((host.now - block.since).total_seconds(), SECONDS_DIGITS))
        text = "How long a plugin has been blocked at run time."
        yield Metric("authhost_plugin_blocked_seconds", seconds, "gauge", text, {"plugin": plugin})
    for record in host.registry.records:
        status = "blocked" if record.name in host.services.blocked else record.status
        labels = {"plugin": record.name, "status": status}
        yield Metric("authhost_plugin_info", 1, "gauge", "The plugins that were found.", labels)


def _flows(host: AuthHost) -> Iterator[Metric]:
    for (flow, outcome), count in host.services.telemetry.flows.counts().items():
        labels = {"flow": flow, "outcome": outcome}
        seconds = round(count.seconds, SECONDS_DIGITS)
        yield Metric("authhost_flows_total", count.calls, "counter", "Flows by outcome.", labels)
        yield Metric("authhost_flow_seconds_total", seconds, "counter", "Time spent in flows.", labels)


def _hooks(host: AuthHost) -> Iterator[Metric]:
    for (plugin, hook), stats in sorted(host.plugin_stats().items()):
        labels = {"plugin": plugin, "hook": hook}
        seconds = round(stats.nanoseconds / 1e9, SECONDS_DIGITS)
        yield Metric("authhost_hook_calls_total", stats.calls, "counter", "Calls of hooks.", labels)
        yield Metric(
            "authhost_hook_failures_total", stats.failures, "counter", "Calls of hooks that failed.", labels
        )
        yield Metric("authhost_hook_seconds_total", seconds, "counter", "Time spent in hooks.", labels)


def _queues(host: AuthHost) -> Iterator[Metric]:
    waiting = host.services.passwords.waiting
    yield Metric(
        "authhost_password_hashes_waiting", waiting, "gauge", "Threads that wait for a password hash."
    )
    load = host.services.background.load()
    for state, jobs in load._asdict().items():
        yield Metric("authhost_background_jobs", jobs, "gauge", "Jobs of in_background.", {"state": state})


def _connections(host: AuthHost) -> Iterator[Metric]:
    pool = host.engine.pool
    if not isinstance(pool, QueuePool):
        return
    for state, connections in (("used", pool.checkedout()), ("idle", pool.checkedin())):
        labels = {"state": state}
        yield Metric("authhost_database_connections", connections, "gauge", "Connections.", labels)
