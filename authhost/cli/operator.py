"""How commands find their host, and who closes it."""

from __future__ import annotations

import os
import secrets
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from authhost.errors import ConfigurationError
from authhost.host import AuthHost
from authhost.pluginhost.discovery import PluginRecord, PluginRegistry
from authhost.settings import Settings
from authhost.store.engine import shown_database

CONFIG = "authhost.toml"
"""Read from the current folder where neither ``--config`` nor AUTHHOST_CONFIG names a file."""


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
            chosen = {f"{name}_plugins": ctx.params.get(name) for name in ("blocked", "required")}
            # Where --help comes first, options have not been read yet.
            config = ctx.params.get("config", os.environ.get("AUTHHOST_CONFIG"))
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
            self._registry = PluginRegistry(self.settings(any_secret=True), {})
            self._warn_of_names(self._registry.records)
        return self._registry

    def settings(self, *, any_secret: bool = False) -> Settings:
        """The settings; with ``any_secret`` also where no secret_key is set. Raises `ConfigurationError`."""
        try:
            return Settings.load(self.config, **self._overrides)
        except ConfigurationError as error:
            if not any_secret or "secret_key" not in str(error):
                raise
            return Settings.load(self.config, **{**self._overrides, "secret_key": secrets.token_urlsafe(48)})

    def used(self) -> str:
        """Which configuration file and which database are in use, for people; no secret."""
        file = self.config.absolute() if self.config else f"none (no --config, AUTHHOST_CONFIG or ./{CONFIG})"
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
            host = AuthHost(settings, check_database=check_database, background=background)
            self._hosts[key] = host
            if self._registry is None:
                self._registry = host.registry
                self._warn_of_names(host.registry.records)
        return self._hosts[key]

    def _warn_of_names(self, records: list[PluginRecord]) -> None:
        known = [record.name for record in records]
        for name in self._overrides.get("blocked_plugins", ()):
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                click.echo(f"Warning: --block {name}: no plugin of that name is installed{hint}", err=True)
