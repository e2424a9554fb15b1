"""Calls a method every few seconds, on a daemon thread of each process that uses a host."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakMethod, WeakSet

JOIN_SECONDS = 5.0
"""How long `Watcher.close` waits for a call that runs."""


class Watcher:
    """Calls ``method`` every ``seconds``. In a forked process, `ensure` starts a thread of its own.

    ``after_fork`` is called there first, to replace the locks of ``method``. The thread does not keep the
    object of the method alive.
    """

    def __init__(self, method: Callable[[], None], seconds: float, after_fork: Callable[[], None]) -> None:
        self._method, self._seconds, self._replace_locks = WeakMethod(method), seconds, after_fork
        self._is_on = False
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
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
        """Forget the thread, which does not exist here, and replace the locks that it may hold."""
        self._lock, self._ended, self._thread = threading.Lock(), threading.Event(), None
        self._replace_locks()


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
