"""A limit of how many threads do something at once, with a bounded queue in order of arrival."""

from __future__ import annotations

import math
import threading
from collections import deque

from authhost.errors import Busy


class ConcurrencyLimit:
    """A semaphore that admits ``limit`` threads at once, in the order in which they arrive.

    At most ``queue`` threads wait, each for at most ``wait`` seconds. Otherwise
    entering raises `Busy`. A thread that holds a slot may enter again.
    """

    def __init__(self, limit: int, wait: float, queue: int) -> None:
        self._free = limit
        self._timeout, self._max_queued = wait, queue
        self._queued: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._thread = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._thread, "depth", 0)
        if not depth:
            self._acquire()
        self._thread.depth = depth + 1

    def __exit__(self, *error: object) -> None:
        self._thread.depth -= 1
        if not self._thread.depth:
            self._release()

    @property
    def waiting(self) -> int:
        """The number of threads that wait."""
        return len(self._queued)

    def _acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._queued) >= self._max_queued:
                raise self._busy()
            slot = threading.Event()
            self._queued.append(slot)
        try:
            admitted = slot.wait(self._timeout)
        except BaseException:
            if self._cancel(slot):
                self._release()
            raise
        if not admitted and not self._cancel(slot):
            raise self._busy()

    def _cancel(self, slot: threading.Event) -> bool:
        """Leave the queue; return True if the slot was granted in the meantime."""
        with self._lock:
            if slot.is_set():
                return True
            self._queued.remove(slot)
            return False

    def _release(self) -> None:
        with self._lock:
            if self._queued:
                self._queued.popleft().set()  # It gets the slot directly, so no later thread can take it.
            else:
                self._free += 1

    def _busy(self) -> Busy:
        return Busy(retry_after=max(1, math.ceil(self._timeout)))
