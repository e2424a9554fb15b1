"""How commands find their host, and who closes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from authhost.errors import ConfigurationError

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.pluginhost.discovery import PluginRecord, PluginRegistry
    from authhost.settings import Settings

CONFIG = "authhost.toml"
"""Read from the current folder where neither ``--config`` nor AUTHHOST_CONFIG names a file."""
GIVEN = "authhost.given"
"""The key in ``ctx.meta`` of the options on the command line, by name, before click has read them."""


class Operator:
    """Opens the host when a command first asks for it: ``ctx.obj()``. The command line closes it.

    The host starts no plugin, so that no command does the plugins' background
    work by the way. A command whose purpose that is asks for
    ``ctx.obj(background=True)``.
    """

    @classmethod
    def of(cls, ctx: click.Context) -> Operator:
        """The operator of a command line, made from its options, closed with its context."""
        if ctx.obj is None:
            # Where there is --help, click has not read the other options yet.
            given = {**ctx.meta.get(GIVEN, {}), **ctx.params}
            chosen = {f"{name}_plugins": given.get(name) for name in ("blocked", "required")}
            config = given.get("config", os.environ.get("AUTHHOST_CONFIG"))
            ctx.obj = cls(config, **{name: value for name, value in chosen.items() if value})
            ctx.call_on_close(ctx.obj.close)
        operator: Operator = ctx.obj
        return operator

    def __init__(self, config: str | None, **overrides: Any) -> None:
        self.config = Path(config) if config else Path(CONFIG) if Path(CONFIG).is_file() else None
        self._overrides = overrides
        self._hosts: dict[tuple[tuple[str, ...], bool, bool], AuthHost] = {}
        self._registry: PluginRegistry | None = None

    def __call__(self, *, background: bool = False) -> AuthHost:
        return self.host(check=True, background=background)

    def host(self, *, check: bool, background: bool = False) -> AuthHost:
        """The host; without ``check`` also over a database that is missing or not up to date."""
        return self._opened(self.settings(), check_database=check, background=background)

    def plugins_only(self) -> AuthHost:
        """A host for looking at settings and plugins: its secret serves for nothing."""
        return self._opened(self.settings(any_secret=True), check_database=False, background=False)

    def registry(self) -> PluginRegistry:
        """The plugins alone."""
        if self._registry is None:
            from authhost.pluginhost.discovery import PluginRegistry

            self._registry = PluginRegistry(self.settings(any_secret=True), {})
            self._warn_of_names(self._registry.records)
        return self._registry

    def settings(self, *, any_secret: bool = False) -> Settings:
        """The settings; with ``any_secret`` also where no secret_key is set. Raises `ConfigurationError`."""
        from authhost.settings import Settings

        try:
            return Settings.load(self.config, **self._overrides)
        except ConfigurationError as error:
            if not any_secret or "secret_key" not in str(error):
                raise
            import secrets

            return Settings.load(self.config, **{**self._overrides, "secret_key": secrets.token_urlsafe(48)})

    def leaves_out(self) -> Callable[[str], bool]:
        """Return what says of a plugin's name whether the settings leave it out.

        Reads no other setting, and so needs no more than a parser of TOML. Raises
        `ConfigurationError` where the file cannot be read.
        """
        values: dict[str, Any] = {}
        if self.config is not None:
            import tomllib

            try:
                values = tomllib.loads(self.config.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self.settings(any_secret=True)  # raises, and says what is wrong
        for name in ("plugins", "blocked_plugins"):
            text = os.environ.get(f"AUTHHOST_{name.upper()}")
            if text is not None:
                values[name] = [part.strip() for part in text.split(",") if part.strip()]
        values |= self._overrides
        chosen, blocked = values.get("plugins"), values.get("blocked_plugins")
        if not isinstance(chosen, list):
            chosen = None  # a table has the settings of plugins
        if not isinstance(blocked, list | tuple):
            blocked = ()
        return lambda name: name in blocked or (chosen is not None and name not in chosen)

    def used(self) -> str:
        """Which configuration file and which database are in use, for people; no secret."""
        file = self.config.absolute() if self.config else f"none (no --config, AUTHHOST_CONFIG or ./{CONFIG})"
        from authhost.store.engine import shown_database

        try:
            database = shown_database(self.settings(any_secret=True).database_url)
        except ConfigurationError:
            return f"configuration file: {file}"
        return f"configuration file: {file}\ndatabase: {database}"

    def close(self) -> None:
        """Close what was opened."""
        while self._hosts:
            self._hosts.popitem()[1].close()

    def _opened(self, settings: Settings, *, check_database: bool, background: bool) -> AuthHost:
        key = (settings.secret_keys, check_database, background)
        if key not in self._hosts:
            from authhost.host import AuthHost

            host = AuthHost(settings, check_database=check_database, background=background)
            self._hosts[key] = host
            if self._registry is None:
                self._registry = host.registry
                self._warn_of_names(host.registry.records)
        return self._hosts[key]

    def _warn_of_names(self, records: list[PluginRecord]) -> None:
        from difflib import get_close_matches

        known = [record.name for record in records]
        for name in self._overrides.get("blocked_plugins", ()):
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                click.echo(f"Warning: --block {name}: no plugin of that name is installed{hint}", err=True)
