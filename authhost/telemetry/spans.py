"""Spans of OpenTelemetry for flows and calls of hooks.

There are none unless ``opentelemetry-api`` is installed. A span has names of the code and
the request id: no argument, no identifier, and no text of an error, which may contain one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import Refused, StopFlow

from authhost.telemetry.current import request_id

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

PREFIX = "authhost."
FAILED = "failed"


def find_spans() -> Spans | None:
    """Return what creates spans, or None if ``opentelemetry-api`` is not installed."""
    try:
        from opentelemetry.trace import Status, StatusCode, get_tracer
    except ImportError:
        return None
    return Spans(get_tracer("authhost"), Status(StatusCode.ERROR))


class Spans:
    """Creates the spans of one host. ``failed`` is the status of a span that failed."""

    def __init__(self, tracer: Tracer, failed: Any) -> None:
        self._tracer, self._failed = tracer, failed

    @contextmanager
    def span(self, name: str, **attributes: str) -> Iterator[Span]:
        """Open a span for a ``with`` block. It records no exception."""
        given = {PREFIX + key: value for key, value in attributes.items()}
        identifier = request_id()
        if identifier is not None:
            given[PREFIX + "request_id"] = identifier
        with self._tracer.start_as_current_span(
            name, attributes=given, record_exception=False, set_status_on_exception=False
        ) as span:
            yield span

    def end(self, span: Span, outcome: str, *, failed: bool, error: BaseException | None = None) -> None:
        """Set the outcome of a span; ``error`` is the unexpected error, of which it gets the class."""
        span.set_attribute(PREFIX + "outcome", outcome)
        if failed:
            span.set_status(self._failed)
            if error is not None:
                span.set_attribute("error.type", type(error).__name__)

    def traced(self, plugin: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, the implementation of a hook, so that each call has a span."""
        name = f"{plugin} {hook}"

        @contextmanager
        def spanned() -> Iterator[None]:
            with self.span(name, plugin=plugin, hook=hook) as span:
                try:
                    yield
                except BaseException as error:
                    outcome = _outcome(error)
                    self.end(span, outcome, failed=outcome == FAILED, error=error)
                    raise
                self.end(span, "ok", failed=False)

        @wraps(function)
        def called(*values: Any) -> Any:
            with spanned():
                return function(*values)

        @wraps(function)
        def wrapped(*values: Any) -> Generator[None, Any, Any]:
            with spanned():
                return (yield from function(*values))

        return wrapped if inspect.isgeneratorfunction(function) else called


def _outcome(error: BaseException) -> str:
    """Return the outcome of a hook's implementation that raised ``error``."""
    if isinstance(error, Refused):
        return "refused"
    return "stopped" if isinstance(error, StopFlow) else FAILED
