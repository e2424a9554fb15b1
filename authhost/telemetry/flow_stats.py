"""Counts the flows of one process, by their outcome and their time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The upper bounds of the buckets of times, in seconds. A last bucket has all longer flows."""


@dataclass(slots=True)
class FlowCount:
    """How often a flow had an outcome, and how long it took."""

    calls: int = 0
    seconds: float = 0.0
    """The sum of the times."""
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """How many of the times are in each bucket of `BOUNDS`."""


class FlowStats:
    """The counts by flow and outcome. Both are names of the code, so there are few."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], FlowCount] = {}
        self._lock = Lock()

    def add(self, flow: str, outcome: str, seconds: float) -> None:
        """Count one flow."""
        bucket = bisect_left(BOUNDS, seconds)
        with self._lock:
            count = self._counts.get((flow, outcome))
            if count is None:
                count = self._counts[flow, outcome] = FlowCount()
            count.calls += 1
            count.seconds += seconds
            count.buckets[bucket] += 1

    def counts(self) -> Mapping[tuple[str, str], FlowCount]:
        """Return a copy of all counts, by flow and outcome."""
        with self._lock:
            return {
                key: replace(each, buckets=list(each.buckets)) for key, each in sorted(self._counts.items())
            }
