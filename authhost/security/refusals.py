"""Aggregates repeated refusals: the first of a minute are recorded individually, the others as a count.

Each record of a refusal is a separate transaction. Without a bound, anybody
could fill the database and hide real events with requests that are refused
(ASVS 5.0, 15.2.2, 16.4.1).
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from authhost_hookspecs import Actor

from authhost.errors import AuthError
from authhost.security.inputs import network

if TYPE_CHECKING:
    from authhost.records import User

WINDOW = timedelta(minutes=1)
STEP = 5
"""The first 5 of a window are recorded individually. Then one record follows per 5, 10, 20, … refusals."""
MAX_WINDOWS = 10_000
"""The maximum number of windows in memory."""
MAX_PER_REFUSAL = 5
"""The maximum number of expired windows that are recorded with one refusal."""
NEVER_AGGREGATED = frozenset({"invalid_credentials"})
"""Codes that are always recorded individually: each is a guess at a password (ASVS 5.0, 16.3.1)."""

Key = tuple[str | None, str, str, UUID | None, Actor | None]


class Client(Protocol):
    """The client whose flow is refused. The unit of work implements it."""

    identifier_digest: str | None
    provider: str | None

    @property
    def ip_address(self) -> str | None: ...

    @property
    def user_agent(self) -> str: ...

    @property
    def language(self) -> str | None: ...

    @property
    def now(self) -> datetime: ...

    @property
    def other_actor(self) -> Actor | None: ...


@dataclass(slots=True)
class Refusal:
    """The latest refusal of a window, with the data of its record."""

    flow: str
    error: AuthError
    user: User | None
    ip_address: str | None
    user_agent: str
    language: str | None
    identifier_digest: str | None
    provider: str | None
    actor: Actor | None


@dataclass(slots=True)
class Window:
    """Refusals with the same network, flow, code, user and actor."""

    since: datetime
    latest: Refusal | None = None
    recorded: int = 0
    unrecorded: int = 0
    """The number of refusals that are in no record yet."""
    step: int = STEP


class Refusals:
    """Decides whether a refusal is recorded now, or counted and recorded later. None is lost.

    The counts of this process are recorded after their window has expired, with
    the next refusal of any kind, or when the host is closed.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[Key, Window] = OrderedDict()
        self._expired: list[Window] = []
        self._lock = threading.Lock()

    def count(self, client: Client, flow: str, error: AuthError, user: User | None) -> int:
        """Count one refusal; return how many refusals to record as one now, or 0."""
        if error.code in NEVER_AGGREGATED:
            return 1
        place = network(client.ip_address) if client.ip_address is not None else None
        key = (place, flow, error.code, user.id if user else None, client.other_actor)
        with self._lock:
            self._expire(client.now)
            window = self._windows.setdefault(key, Window(client.now))
            if window.recorded < STEP:
                window.recorded += 1
                return 1
            window.unrecorded += 1
            if window.unrecorded < window.step:
                window.latest = _refusal(client, flow, error, user)
                return 0
            count, window.unrecorded, window.step = window.unrecorded, 0, 2 * window.step
            return count

    def take_expired(self, now: datetime) -> Iterator[tuple[Refusal, int]]:
        """Remove expired windows, a few at a time; yield their latest refusal and their count."""
        with self._lock:
            self._expire(now)
            windows, self._expired = self._expired[:MAX_PER_REFUSAL], self._expired[MAX_PER_REFUSAL:]
        return _counts(windows)

    def take_all(self) -> Iterator[tuple[Refusal, int]]:
        """Remove all windows; yield their latest refusal and their count."""
        with self._lock:
            windows = [*self._expired, *self._windows.values()]
            self._expired.clear()
            self._windows.clear()
        return _counts(windows)

    def _expire(self, now: datetime) -> None:
        """Move expired windows to the list of expired ones; also the oldest, if there are too many."""
        while self._windows:
            window = next(iter(self._windows.values()))
            if now < window.since + WINDOW and len(self._windows) < MAX_WINDOWS:
                return
            self._windows.popitem(last=False)
            if window.unrecorded:
                self._expired.append(window)


def _counts(windows: list[Window]) -> Iterator[tuple[Refusal, int]]:
    return ((each.latest, each.unrecorded) for each in windows if each.latest is not None and each.unrecorded)


def _refusal(client: Client, flow: str, error: AuthError, user: User | None) -> Refusal:
    # The copy has no traceback, whose frames would keep passwords in memory.
    return Refusal(
        flow,
        copy.copy(error),
        user,
        client.ip_address,
        client.user_agent,
        client.language,
        client.identifier_digest,
        client.provider,
        client.other_actor,
    )
