"""Observes the flows of one host."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType

from authhost.errors import AuthError
from authhost.telemetry.flow_stats import FlowStats

OK = "ok"
ERROR = "error"
"""The outcome of a flow that failed with an unexpected error."""


class Telemetry:
    """Counts the flows of one host in this process."""

    def __init__(self) -> None:
        self.flows = FlowStats()

    def flow(self, name: str) -> ObservedFlow:
        """Observe a flow for a ``with`` block."""
        return ObservedFlow(self.flows, name)


class ObservedFlow:
    """The run of one flow, as a context manager."""

    __slots__ = ("_name", "_started", "_stats")

    def __init__(self, stats: FlowStats, name: str) -> None:
        self._stats, self._name = stats, name

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stats.add(self._name, outcome_of(error), perf_counter() - self._started)


def outcome_of(error: BaseException | None) -> str:
    """Return ``ok``, the code of the refusal, or ``error``: one of a small number of words."""
    if error is None:
        return OK
    # The code of the class: an object could have another one, with anything in it.
    return type(error).code if isinstance(error, AuthError) else ERROR
