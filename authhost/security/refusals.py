"""Repeated refusals: the first of a minute are recorded one by one, the others as one record with a count.

Each record of a refusal is a transaction of its own. Without a bound, anybody
could fill the database, and drown the real events, with requests that are
refused (ASVS 5.0, 15.2.2, 16.4.1).
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

from authhost.errors import AuthError
from authhost.security.inputs import network

if TYPE_CHECKING:
    from authhost.records import User

WINDOW = timedelta(minutes=1)
FIRST = 5
"""So many of a window are recorded one by one; after so many more, and each time twice as many, one count."""
MOST_WINDOWS = 10_000
AT_ONCE = 5
"""So many counts of windows that are over are recorded with one refusal."""
ALWAYS = frozenset({"invalid_credentials"})
"""Codes that are recorded one by one whatever happens: each is a guess at a password (ASVS 5.0, 16.3.1)."""

Key = tuple[str | None, str, str, UUID | None]


class Client(Protocol):
    """Whose flow is refused: what a unit of work knows of the caller."""

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


@dataclass(slots=True)
class Refusal:
    """The latest refusal of a window, with what its record says."""

    flow: str
    error: AuthError
    user: User | None
    ip_address: str | None
    user_agent: str
    language: str | None
    identifier_digest: str | None
    provider: str | None


@dataclass(slots=True)
class Window:
    """Refusals with the same network, flow, code and user."""

    since: datetime
    latest: Refusal | None = None
    recorded: int = 0
    waiting: int = 0
    """How many are not in any record yet."""
    step: int = FIRST


class Refusals:
    """Decides of each refusal whether it is recorded now, or counted and recorded later. Loses none.

    What is counted in this process is recorded once the window is over, with
    the next refusal of any kind, or when the host is closed.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[Key, Window] = OrderedDict()
        self._over: list[Window] = []
        self._lock = threading.Lock()

    def count(self, client: Client, flow: str, error: AuthError, user: User | None) -> int:
        """Count one refusal; return how many are to be recorded as one now, or 0."""
        if error.code in ALWAYS:
            return 1
        place = network(client.ip_address) if client.ip_address is not None else None
        key = (place, flow, error.code, user.id if user else None)
        with self._lock:
            self._sweep(client.now)
            window = self._windows.setdefault(key, Window(client.now))
            if window.recorded < FIRST:
                window.recorded += 1
                return 1
            window.waiting += 1
            if window.waiting < window.step:
                window.latest = _refusal(client, flow, error, user)
                return 0
            count, window.waiting, window.step = window.waiting, 0, 2 * window.step
            return count

    def overdue(self, now: datetime) -> Iterator[tuple[Refusal, int]]:
        """Take out what was counted in windows that are over, a few at a time, with how often it was."""
        with self._lock:
            self._sweep(now)
            windows, self._over = self._over[:AT_ONCE], self._over[AT_ONCE:]
        return _counts(windows)

    def all(self) -> Iterator[tuple[Refusal, int]]:
        """Take out all that was counted and is in no record yet."""
        with self._lock:
            windows = [*self._over, *self._windows.values()]
            self._over.clear()
            self._windows.clear()
        return _counts(windows)

    def _sweep(self, now: datetime) -> None:
        """Take out windows that are over, or too many; the oldest stand first."""
        while self._windows:
            window = next(iter(self._windows.values()))
            if now < window.since + WINDOW and len(self._windows) < MOST_WINDOWS:
                return
            self._windows.popitem(last=False)
            if window.waiting:
                self._over.append(window)


def _counts(windows: list[Window]) -> Iterator[tuple[Refusal, int]]:
    return ((each.latest, each.waiting) for each in windows if each.latest is not None and each.waiting)


def _refusal(client: Client, flow: str, error: AuthError, user: User | None) -> Refusal:
    # A copy has no traceback, which would keep the passwords in the frames of the flow.
    return Refusal(
        flow,
        copy.copy(error),
        user,
        client.ip_address,
        client.user_agent,
        client.language,
        client.identifier_digest,
        client.provider,
    )
