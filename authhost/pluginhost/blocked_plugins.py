"""The plugins of one host that are blocked at run time, read from the database every few seconds.

A host keeps them in memory, so no flow reads them. When they change, ``apply`` gives the host other
hooks. A unit of work keeps the hooks with which it has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Lock

from authhost.pluginhost.blocks import Block, read_blocks
from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.watcher import Watcher
from authhost.settings import Settings
from authhost.store.database import Database

log = logging.getLogger("authhost.plugins")


class BlockedPlugins:
    """Reads the blocked plugins of one host. ``apply`` is called with them whenever they change.

    ``after_fork`` is called in a forked process, to replace locks that a thread of the parent may hold.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        settings: Settings,
        database: Database,
        apply: Callable[[Mapping[str, Block]], None],
        after_fork: Callable[[], None],
    ) -> None:
        self._registry, self._required = registry, settings.required_plugins
        self._database, self._apply = database, apply
        self._after_fork = after_fork
        self._lock = Lock()
        self._is_failing = False
        self._ignored: frozenset[str] = frozenset()
        self.current: Mapping[str, Block] = {}
        """The blocked ones among the plugins that this host has loaded, by name."""
        self.watcher = Watcher(self.refresh, settings.blocked_plugins_refresh, after_fork=self._replace_locks)

    def load(self) -> None:
        """Read the blocked plugins, and apply them.

        Raises ``SQLAlchemyError`` and `ConfigurationError` if the database cannot be read.
        """
        with self._lock:  # so that no older reading is applied after a newer one
            self._take(read_blocks(self._database))

    def refresh(self) -> None:
        """Like `load`, but if the database cannot be read, the state stays, and that is logged once."""
        if self._database.closed:
            return
        try:
            self.load()
        except Exception as error:  # of any driver: the thread that calls this must go on
            if not self._is_failing:
                kind = type(error).__name__
                log.error("the plugins that are blocked at run time cannot be read: %s; none changes", kind)
            self._is_failing = True
        else:
            if self._is_failing:
                log.warning("the plugins that are blocked at run time can be read again")
            self._is_failing = False

    def _take(self, rows: Mapping[str, Block]) -> None:
        loaded = {record.name for record in self._registry.loaded()}
        found = {name: block for name, block in rows.items() if name in loaded}
        ignored = frozenset(found.keys() & {*self._required})
        for name in sorted(ignored - self._ignored):
            log.error("plugin %s is blocked, but runs, since it is required", name, extra={"plugin": name})
        self._ignored = ignored
        found = {name: block for name, block in found.items() if name not in ignored}
        before, self.current = self.current, found
        if found == before:
            return
        self._apply(found)
        for name in sorted(found.keys() - before.keys()):
            log.warning("plugin %s is %s", name, found[name], extra={"plugin": name})
        for name in sorted(before.keys() - found.keys()):
            log.warning("plugin %s is not blocked any more", name, extra={"plugin": name})

    def _replace_locks(self) -> None:
        """Replace the locks in a forked process: another thread of the parent may hold them."""
        self._lock = Lock()
        self._after_fork()
