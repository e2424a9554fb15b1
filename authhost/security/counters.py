"""Where rate limits are counted: in the memory of this process, or in Redis.

Both count in a moving window: of one key, at most ``amount`` events in any
period of ``seconds``. A key disappears when its period has passed.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from limits.storage.redis import RedisStorage

MOST_KEYS = 20_000
"""Keys that the memory of a process holds for each rate; each takes about 250 bytes."""
SWEPT = 1000
"""Keys that one count deletes at most."""
COMPARED = 8
"""Of so many of the oldest keys the one with the fewest events gives way to a new one."""


class Rate(NamedTuple):
    """At most ``amount`` times an ``action`` in ``seconds``, counted by ``per``."""

    action: str
    amount: int
    seconds: int
    per: str


class Counters(Protocol):
    """What both kinds can do. ``key`` is a digest of what is counted."""

    def take(self, rate: Rate, key: str) -> bool:
        """Count one event, unless that is too many: False then."""

    def give_back(self, rate: Rate, key: str) -> None:
        """Take back the latest event of ``key``."""

    def clear(self, rate: Rate, key: str) -> None:
        """Delete all events of ``key``."""

    def wait(self, rate: Rate, key: str) -> float:
        """Seconds until the oldest event of ``key`` leaves the window."""

    def check(self) -> bool:
        """Whether the place where it counts answers."""


class MemoryCounters:
    """Counts in this process.

    The number of keys of each rate is bounded, since anonymous requests choose
    them (ASVS 5.0, 15.2.2). Keys stand in the order of their latest event, so
    those that have expired stand first, and no count looks at any other.
    """

    def __init__(self) -> None:
        self._tables: dict[Rate, OrderedDict[str, array[float]]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many keys it holds."""
        with self._lock:
            return sum(map(len, self._tables.values()))

    def take(self, rate: Rate, key: str) -> bool:
        """Count one event, unless that is too many: False then."""
        now = time.time()
        with self._lock:
            self._sweep(now)
            table = self._tables.setdefault(rate, OrderedDict())
            events = table.get(key)
            if events is None:
                if len(table) >= MOST_KEYS:
                    self._make_room(table)
                events = table[key] = array("d")
            while events and events[0] <= now - rate.seconds:
                del events[0]
            if len(events) >= rate.amount:
                return False
            events.append(now)
            table.move_to_end(key)
            return True

    def give_back(self, rate: Rate, key: str) -> None:
        """Take back the latest event of ``key``."""
        with self._lock:
            table = self._tables.get(rate)
            events = table.get(key) if table is not None else None
            if table is not None and events is not None:
                del events[-1:]
                if not events:
                    del table[key]

    def clear(self, rate: Rate, key: str) -> None:
        """Delete all events of ``key``."""
        with self._lock:
            if rate in self._tables:
                self._tables[rate].pop(key, None)

    def wait(self, rate: Rate, key: str) -> float:
        """Seconds until the oldest event of ``key`` leaves the window."""
        with self._lock:
            events = self._tables[rate].get(key) if rate in self._tables else None
            return max(0.0, events[0] + rate.seconds - time.time()) if events else 0.0

    def check(self) -> bool:
        """Always: it is this process."""
        return True

    def _sweep(self, now: float) -> None:
        """Delete keys that have expired, also of rates that are not used any more."""
        left = SWEPT
        for rate, table in self._tables.items():
            while table and left:
                key, events = next(iter(table.items()))
                if events and events[-1] > now - rate.seconds:
                    break
                del table[key]
                left -= 1

    @staticmethod
    def _make_room(table: OrderedDict[str, array[float]]) -> None:
        """Drop a key of few events: whoever fills the table drops keys of their own, mostly."""
        oldest = [table.popitem(last=False) for _ in range(min(COMPARED, len(table)))]
        oldest.remove(min(oldest, key=lambda item: len(item[1])))
        table.update(oldest)


class RedisCounters:
    """Counts in Redis, for all processes together; Redis deletes the keys that have expired."""

    def __init__(self, storage: RedisStorage) -> None:
        self._storage = storage

    def take(self, rate: Rate, key: str) -> bool:
        """Count one event, unless that is too many: False then."""
        return self._storage.acquire_entry(_name(rate, key), rate.amount, rate.seconds)

    def give_back(self, rate: Rate, key: str) -> None:
        """Take back the latest event of ``key``."""
        redis: Any = self._storage.get_connection()
        redis.lpop(self._storage.prefixed_key(_name(rate, key)))

    def clear(self, rate: Rate, key: str) -> None:
        """Delete all events of ``key``."""
        self._storage.clear(_name(rate, key))

    def wait(self, rate: Rate, key: str) -> float:
        """Seconds until the oldest event of ``key`` leaves the window."""
        began, count = self._storage.get_moving_window(_name(rate, key), rate.amount, rate.seconds)
        return max(0.0, began + rate.seconds - time.time()) if count else 0.0

    def check(self) -> bool:
        """Whether Redis answers."""
        return bool(self._storage.check())


def _name(rate: Rate, key: str) -> str:
    return "/".join(("authhost", *map(str, rate), key))
