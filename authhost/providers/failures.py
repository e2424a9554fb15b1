"""Failures of a provider that are remembered for some seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from authhost.errors import InvalidIdToken, ProviderFailed

T = TypeVar("T")

REMEMBER = timedelta(seconds=10)
"""How long a provider that has failed is not asked again, by the host's clock."""
BUSY = (408, 425, 429)
"""Statuses of a provider that may answer a moment later, beside all from 500 on."""


def is_down(error: ProviderFailed | InvalidIdToken) -> bool:
    """Whether the provider gave no answer, rather than one that refuses."""
    reason, status = error.fields.get("reason"), error.fields.get("status", 0)
    return reason in ("timeout", "unreachable") or (reason == "http_error" and is_busy(status))


def is_busy(status: int) -> bool:
    """Whether a provider that answers with this HTTP status may answer otherwise a moment later."""
    return status >= 500 or status in BUSY


class _Failure(NamedTuple):
    error: ProviderFailed | InvalidIdToken
    at: datetime


class RecentFailures:
    """Raises a failure again for some seconds before the provider is asked again.

    A provider that is down would cost each login a thread for the length of a
    time-out. One failure is kept for each thing that is asked for.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures: dict[str, _Failure] = {}

    def ask(
        self,
        what: str,
        fetch: Callable[[], T],
        remembers: Callable[[ProviderFailed | InvalidIdToken], bool] = lambda error: True,
    ) -> T:
        """What ``fetch`` returns. Raises `ProviderFailed` and `InvalidIdToken`, perhaps a remembered one."""
        failure = self._failures.get(what)
        if failure is not None and timedelta(0) <= self._clock() - failure.at < REMEMBER:
            raise _copy(failure.error)
        try:
            return fetch()
        except (ProviderFailed, InvalidIdToken) as error:
            if remembers(error):
                self._failures[what] = _Failure(_copy(error), self._clock())
            raise


def _copy(error: ProviderFailed | InvalidIdToken) -> ProviderFailed | InvalidIdToken:
    """The same error without the frames of the request that met it."""
    return type(error)(str(error), **error.fields)
