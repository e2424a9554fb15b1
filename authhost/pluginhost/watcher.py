"""Calls a method again and again, on a daemon thread of each process that uses a host."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakMethod, WeakSet

JOIN_SECONDS = 5.0
"""How long `Watcher.close` waits for a call that runs."""


class Watcher:
    """Calls ``method`` every ``seconds``. In a forked process, `ensure` starts a thread of its own.

    ``reset`` is called there first, for the locks of ``method``. The thread does not keep the object of
    the method alive.
    """

    _lock: threading.Lock
    _ended: threading.Event
    _thread: threading.Thread | None

    def __init__(self, method: Callable[[], None], seconds: float, reset: Callable[[], None]) -> None:
        self._method, self._seconds, self._reset = WeakMethod(method), seconds, reset
        self._is_on = False
        self.after_fork()
        _watchers.add(self)

    def start(self) -> None:
        """Start the thread, unless ``seconds`` is 0."""
        self._is_on = self._seconds > 0
        self.ensure()

    def ensure(self) -> None:
        """Start the thread if it was started in the process from which this one was forked."""
        if not self._is_on or self._thread is not None:
            return
        with self._lock:
            if self._is_on and self._thread is None:
                self._thread = threading.Thread(
                    target=_run, args=(self._method, self._seconds, self._ended), name="authhost-blocks"
                )
                self._thread.daemon = True
                self._thread.start()

    def close(self) -> None:
        """End the thread. May be called twice."""
        with self._lock:
            self._is_on = False
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)

    def after_fork(self) -> None:
        """Begin without a thread: the parent's does not exist here, and may have had the locks."""
        self._lock, self._ended, self._thread = threading.Lock(), threading.Event(), None
        self._reset()


def _run(method: WeakMethod[Callable[[], None]], seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds):
        call = method()
        if call is None:
            return
        call()
        del call


_watchers: WeakSet[Watcher] = WeakSet()


def _after_fork() -> None:
    for watcher in list(_watchers):
        watcher.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
