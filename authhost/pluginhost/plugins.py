"""``host.plugins``: what operators do with plugins at run time, in all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from difflib import get_close_matches
from typing import Any

from authhost_hookspecs import Actor
from sqlalchemy.exc import IntegrityError

from authhost.errors import Conflict, PluginNotBlockable
from authhost.pluginhost.blocked_plugins import BlockedPlugins
from authhost.pluginhost.blocks import Block, read_blocks
from authhost.pluginhost.discovery import PluginRegistry
from authhost.security.inputs import reason as parse_reason, text
from authhost.settings import Settings
from authhost.store import statements
from authhost.store.database import Database

NAME_LENGTH = 128


class Plugins:
    """Blocks and unblocks plugins, in all processes that use the same database.

    The other processes follow within ``blocked_plugins_refresh`` seconds. ``begin`` returns a unit of work
    of an actor, in which the given plugins are blocked.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        settings: Settings,
        database: Database,
        blocked: BlockedPlugins,
        begin: Callable[[Actor, Mapping[str, Block]], AbstractContextManager[Any]],
    ) -> None:
        self._registry, self._settings, self._database = registry, settings, database
        self._blocked, self._begin = blocked, begin

    def blocked(self) -> dict[str, Block]:
        """Read which plugins are blocked at run time, by name, also those that this host does not have."""
        return read_blocks(self._database)

    def load(self) -> None:
        """Read which plugins are blocked now, instead of after ``blocked_plugins_refresh``.

        Raises ``SQLAlchemyError`` and `ConfigurationError` if the database cannot be read.
        """
        self._blocked.load()

    def refresh(self) -> None:
        """Like `load`, but if the database cannot be read, the state stays, and that is logged once."""
        self._blocked.refresh()

    def block(self, name: str, *, reason: str, actor: Actor, installed: bool = True) -> Block:
        """Block a plugin, and return the block. If it is blocked already, that block stays.

        ``reason`` is a text of 1 to 500 characters. With ``installed=False``, this host need not have the
        plugin: another process passes it to its host. Calls `plugin_blocked`. Raises `PluginNotBlockable`
        with the remedy for a required plugin and an unknown name, and `InvalidInput`.
        """
        text(name, "name", NAME_LENGTH)
        reason = parse_reason(reason)
        self._check(name, installed=installed)
        by = str(actor.id) if actor.id is not None else actor.name or ""
        try:
            with self._begin(actor, self._blocked.current) as request:
                block = Block(name, request.now, by, reason)
                with request.savepoint():
                    request.write(statements.BLOCK_PLUGIN, _values(block))
                request.services.hooks.plugin_blocked(request, name, reason)
        except IntegrityError as error:
            found = self.blocked().get(name)
            if found is None:  # unblocked in the meantime
                raise Conflict from error
            block = found
        self.refresh()
        return block

    def unblock(self, name: str, *, actor: Actor) -> bool:
        """End the block of a plugin; return whether it was blocked. Calls `plugin_unblocked`."""
        text(name, "name", NAME_LENGTH)
        others = {other: block for other, block in self._blocked.current.items() if other != name}
        with self._begin(actor, others) as request:
            found: bool = request.write(statements.UNBLOCK_PLUGIN, {"of_key": name}) > 0
            if found:
                request.services.hooks.plugin_unblocked(request, name)
        self.refresh()
        return found

    def _check(self, name: str, *, installed: bool) -> None:
        if name in self._settings.required_plugins:
            raise PluginNotBlockable(
                f"plugin {name!r} is required, so it cannot be blocked; remove it from required_plugins, "
                "and restart the processes"
            )
        known = [record.name for record in self._registry.records]
        if installed and name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "see `authhost plugins list`"
            raise PluginNotBlockable(f"no plugin named {name!r} is installed; {hint}")


def _values(block: Block) -> dict[str, Any]:
    return {"plugin": block.plugin, "since": block.since, "blocked_by": block.by, "reason": block.reason}
