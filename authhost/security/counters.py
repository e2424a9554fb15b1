"""The counters of rate limits: in the memory of this process, or in Redis.

Both use a moving window: a key has at most ``amount`` events in any period of
``seconds``. A key is deleted when its period has passed.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from authhost.errors import ConfigurationError

if TYPE_CHECKING:
    from limits.storage.redis import RedisStorage

MAX_KEYS = 20_000
"""The maximum number of keys in memory for each rate. A key takes about 250 bytes."""
MAX_DELETED = 1000
"""The maximum number of expired keys that one call deletes."""
EVICTION_SAMPLE = 8
"""If the table is full, the key with the fewest events among this many of the oldest is deleted."""

KINDS = frozenset({"ip", "user", "key", "key+ip"})
"""What a rate can be counted by."""


class Rate(NamedTuple):
    """At most ``amount`` times an ``action`` in ``seconds``, counted by ``per``."""

    action: str
    amount: int
    seconds: int
    per: str


class Counters(Protocol):
    """The interface of both kinds. ``key`` is a digest of what is counted."""

    def acquire(self, rate: Rate, key: str) -> bool:
        """Count one event and return True; return False, without counting, if the limit is reached."""

    def undo(self, rate: Rate, key: str) -> None:
        """Remove the latest event of ``key``."""

    def clear(self, rate: Rate, key: str) -> None:
        """Delete all events of ``key``."""

    def retry_after(self, rate: Rate, key: str) -> float:
        """Return the seconds until the oldest event of ``key`` leaves the window."""

    def check(self) -> bool:
        """Return whether the storage answers."""


class MemoryCounters:
    """Counts in the memory of this process.

    The number of keys of each rate is bounded, since anonymous requests choose
    them (ASVS 5.0, 15.2.2). Keys are ordered by their latest event: expired keys
    come first, so that deleting them reads no others.
    """

    def __init__(self) -> None:
        self._tables: dict[Rate, OrderedDict[str, array[float]]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """The number of keys."""
        with self._lock:
            return sum(map(len, self._tables.values()))

    def acquire(self, rate: Rate, key: str) -> bool:
        """Count one event and return True; return False, without counting, if the limit is reached."""
        now = time.time()
        with self._lock:
            self._delete_expired(now)
            table = self._tables.setdefault(rate, OrderedDict())
            events = table.get(key)
            if events is None:
                if len(table) >= MAX_KEYS:
                    self._evict(table)
                events = table[key] = array("d")
            while events and events[0] <= now - rate.seconds:
                del events[0]
            if len(events) >= rate.amount:
                return False
            events.append(now)
            table.move_to_end(key)
            return True

    def undo(self, rate: Rate, key: str) -> None:
        """Remove the latest event of ``key``."""
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

    def retry_after(self, rate: Rate, key: str) -> float:
        """Return the seconds until the oldest event of ``key`` leaves the window."""
        with self._lock:
            events = self._tables[rate].get(key) if rate in self._tables else None
            return max(0.0, events[0] + rate.seconds - time.time()) if events else 0.0

    def check(self) -> bool:
        """Return True: the memory of this process always answers."""
        return True

    def _delete_expired(self, now: float) -> None:
        """Delete expired keys, including those of rates that are no longer used."""
        left = MAX_DELETED
        for rate, table in self._tables.items():
            while table and left:
                key, events = next(iter(table.items()))
                if events and events[-1] > now - rate.seconds:
                    break
                del table[key]
                left -= 1

    @staticmethod
    def _evict(table: OrderedDict[str, array[float]]) -> None:
        """Delete a key with few events. Whoever fills the table mostly deletes their own keys."""
        oldest = [table.popitem(last=False) for _ in range(min(EVICTION_SAMPLE, len(table)))]
        oldest.remove(min(oldest, key=lambda item: len(item[1])))
        table.update(oldest)


class RedisCounters:
    """Counts in Redis, for all processes together. Redis deletes expired keys."""

    def __init__(self, storage: RedisStorage) -> None:
        self._storage = storage

    def acquire(self, rate: Rate, key: str) -> bool:
        """Count one event and return True; return False, without counting, if the limit is reached."""
        return self._storage.acquire_entry(_name(rate, key), rate.amount, rate.seconds)

    def undo(self, rate: Rate, key: str) -> None:
        """Remove the latest event of ``key``."""
        redis: Any = self._storage.get_connection()
        redis.lpop(self._storage.prefixed_key(_name(rate, key)))

    def clear(self, rate: Rate, key: str) -> None:
        """Delete all events of ``key``."""
        self._storage.clear(_name(rate, key))

    def retry_after(self, rate: Rate, key: str) -> float:
        """Return the seconds until the oldest event of ``key`` leaves the window."""
        began, count = self._storage.get_moving_window(_name(rate, key), rate.amount, rate.seconds)
        return max(0.0, began + rate.seconds - time.time()) if count else 0.0

    def check(self) -> bool:
        """Return whether Redis answers."""
        return bool(self._storage.check())


def _name(rate: Rate, key: str) -> str:
    return "/".join(("authhost", *map(str, rate), key))


def parse_rates(action: str, rates: str) -> list[Rate]:
    """Parse a setting such as ``"10/minute/ip, 60/hour/ip"``; raises `ConfigurationError`."""
    from limits import parse

    parts = [each.strip().rpartition("/") for each in rates.split(",") if each.strip()]
    if any(per not in KINDS for _, _, per in parts):
        raise ConfigurationError(
            f"rate_limits: {action} = {rates!r} must end in /ip, /user, /key or /key+ip; "
            'an example is "10/minute/ip"'
        )
    try:
        items = [(parse(rate), per) for rate, _, per in parts]
    except ValueError as error:
        raise ConfigurationError(f"rate_limits: {action} = {rates!r}: {error}") from error
    return [Rate(action, item.amount, item.get_expiry(), per) for item, per in items]


def connect_redis(url: str) -> Counters:
    """Return counters in the Redis at ``url``; raises `ConfigurationError` for an unusable URL."""
    from limits.errors import ConfigurationError as LimitsConfigurationError
    from limits.storage import RedisStorage, storage_from_string

    try:
        # Without timeouts, a Redis that accepts connections but does not answer would block every login.
        storage = storage_from_string(url, socket_timeout=2, socket_connect_timeout=2)
    except LimitsConfigurationError:
        storage = None
    if not isinstance(storage, RedisStorage):
        raise ConfigurationError(
            "redis_url cannot be used; it must look like redis://host:6379/0, "
            "and needs `pip install authhost[redis]`"
        )
    return RedisCounters(storage)
