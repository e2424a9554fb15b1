"""Observes the flows of one host: counts them, and opens their spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from types import TracebackType

from authhost.errors import AuthError
from authhost.telemetry.flow_stats import FlowStats
from authhost.telemetry.spans import Spans

OK = "ok"
ERROR = "error"
"""The outcome of a flow that failed with an unexpected error."""


class Telemetry:
    """Counts the flows of one host in this process. With ``spans``, each of them has a span."""

    def __init__(self, spans: Spans | None = None) -> None:
        self.flows = FlowStats()
        self._spans = spans

    def flow(self, name: str) -> AbstractContextManager[None]:
        """Observe a flow for a ``with`` block."""
        counted = CountedFlow(self.flows, name)
        return counted if self._spans is None else _spanned(self._spans, name, counted)


class CountedFlow:
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


@contextmanager
def _spanned(spans: Spans, name: str, counted: CountedFlow) -> Iterator[None]:
    with counted, spans.span(f"flow {name}", flow=name) as span:
        try:
            yield
        except BaseException as error:
            outcome = outcome_of(error)
            spans.end(span, outcome, failed=outcome == ERROR, error=error)
            raise
        spans.end(span, OK, failed=False)


def outcome_of(error: BaseException | None) -> str:
    """Return ``ok``, the code of the refusal, or ``error``: one of a small number of words."""
    if error is None:
        return OK
    # The code of the class: an object could have another one, with anything in it.
    return type(error).code if isinstance(error, AuthError) else ERROR
