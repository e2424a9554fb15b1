"""Calls `host_started` and `host_stopping`: for all plugins, and for one that is blocked or unblocked."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from time import monotonic

from authhost_hookspecs import Host

from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.dispatch import Hooks
from authhost.pluginhost.hooks import LIFECYCLE


class Lifecycle:
    """Starts and stops the plugins of one host."""

    def __init__(self, host: Host, registry: PluginRegistry) -> None:
        self._host, self._registry = host, registry
        self._running: set[str] = set()
        self._is_open = False
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the threads, which do not exist here, and replace the locks that they may hold."""
        self._threads: list[threading.Thread] = []
        self._locks = {record.name: threading.Lock() for record in self._registry.loaded()}

    def start(self, hooks: Hooks) -> None:
        """Start all plugins but the blocked ones; raises `RequiredPluginFailed`."""
        self._is_open = True
        self._running = {record.name for record in self._registry.active()}
        hooks.host_started(self._host)

    def follow(self, changed: Iterable[str]) -> None:
        """Start and stop the plugins that were unblocked or blocked, each on a thread, since it may hang."""
        if not self._is_open:
            return
        self._threads = [each for each in self._threads if each.is_alive()]
        for record in self._registry.loaded():
            if record.name in changed and not LIFECYCLE.isdisjoint(record.hooks):
                thread = threading.Thread(
                    target=self._settle, args=(record.name,), name="authhost-lifecycle", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until plugins have started and stopped, for at most ``seconds``."""
        deadline = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def stop(self, hooks: Hooks) -> None:
        """Stop all plugins but the blocked ones, which are stopped already."""
        if self._is_open:
            self._is_open = False
            hooks.host_stopping(self._host)

    def _settle(self, name: str) -> None:
        """Start or stop a plugin as its block requires now: the block may have changed several times."""
        with self._locks[name]:
            is_blocked, is_running = name in self._registry.blocked, name in self._running
            if is_blocked is not is_running:
                return
            hooks = Hooks(self._registry.manager, without=self._registry.views(but=name))
            if is_blocked:
                self._running.discard(name)
                hooks.host_stopping(self._host)
            else:
                self._running.add(name)
                hooks.host_started(self._host)
