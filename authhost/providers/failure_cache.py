"""Remember failures of a provider for some seconds (negative caching)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from authhost.errors import InvalidIdToken, ProviderFailed

T = TypeVar("T")

FAILURE_TTL = timedelta(seconds=10)
"""How long a failure is remembered, by the host's clock."""
TRANSIENT_STATUSES = (408, 425, 429)
"""HTTP statuses after which a retry may succeed, besides all from 500 on."""


def is_unavailable(error: ProviderFailed | InvalidIdToken) -> bool:
    """Return whether the provider did not answer, in contrast to an answer that refuses."""
    reason, status = error.fields.get("reason"), error.fields.get("status", 0)
    return reason in ("timeout", "unreachable") or (reason == "http_error" and is_transient(status))


def is_transient(status: int) -> bool:
    """Return whether a retry may succeed after this HTTP status."""
    return status >= 500 or status in TRANSIENT_STATUSES


class _Failure(NamedTuple):
    error: ProviderFailed | InvalidIdToken
    at: datetime


class FailureCache:
    """Raises a recent failure again instead of sending another request.

    Without it, each login would wait for the timeout of a provider that is down,
    and occupy a thread. Keeps one failure for each key.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures: dict[str, _Failure] = {}

    def call(
        self,
        key: str,
        fetch: Callable[[], T],
        is_cacheable: Callable[[ProviderFailed | InvalidIdToken], bool] = lambda error: True,
    ) -> T:
        """Return what ``fetch`` returns. Raises its `ProviderFailed` or `InvalidIdToken`, or a recent one."""
        failure = self._failures.get(key)
        if failure is not None and timedelta(0) <= self._clock() - failure.at < FAILURE_TTL:
            raise _copy(failure.error)
        try:
            return fetch()
        except (ProviderFailed, InvalidIdToken) as error:
            if is_cacheable(error):
                self._failures[key] = _Failure(_copy(error), self._clock())
            raise


def _copy(error: ProviderFailed | InvalidIdToken) -> ProviderFailed | InvalidIdToken:
    """Return the same error without its traceback, which keeps the frames of a request alive."""
    return type(error)(str(error), **error.fields)
