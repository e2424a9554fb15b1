"""The metrics of a host in the text format of Prometheus. Only this module uses ``prometheus_client``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from authhost.host import AuthHost
from authhost.operations.core_metrics import FLOW_DURATION
from authhost.operations.monitoring import metrics
from authhost.telemetry.flow_stats import BOUNDS

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (*map(floatToGoString, BOUNDS), "+Inf")


def exposition(host: AuthHost) -> bytes:
    """Return all metrics of the host and its plugins, and the histogram of the times of flows."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_HostCollector(host))
    return generate_latest(registry)


class _HostCollector(Collector):
    """Reads the numbers when they are asked for. The flows themselves know nothing of Prometheus."""

    def __init__(self, host: AuthHost) -> None:
        self._host = host

    def collect(self) -> Iterator[Family]:
        families: dict[str, Family] = {}
        for each in metrics(self._host):
            name = each.name.removesuffix("_total")
            family = families.setdefault(each.name, Family(name, each.help, each.kind))
            family.add_sample(each.name, dict(each.labels), each.value)
        yield from families.values()
        yield self._durations()

    def _durations(self) -> Family:
        """Return the times by flow, of all outcomes together: they would multiply the buckets."""
        family = Family(FLOW_DURATION, "The time of a flow, without the commit after it.", "histogram")
        buckets: dict[str, list[int]] = {}
        seconds: dict[str, float] = {}
        for (flow, _), count in self._host.services.telemetry.flows.counts().items():
            former = buckets.get(flow, [0] * len(BUCKETS))
            buckets[flow] = [one + other for one, other in zip(former, count.buckets, strict=True)]
            seconds[flow] = seconds.get(flow, 0.0) + count.seconds
        for flow, found in buckets.items():
            for bound, number in zip(BUCKETS, accumulate(found), strict=True):
                family.add_sample(f"{FLOW_DURATION}_bucket", {"flow": flow, "le": bound}, number)
            family.add_sample(f"{FLOW_DURATION}_count", {"flow": flow}, sum(found))
            family.add_sample(f"{FLOW_DURATION}_sum", {"flow": flow}, seconds[flow])
        return family
