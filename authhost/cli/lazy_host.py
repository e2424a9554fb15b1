"""The object ``ctx.obj`` of all commands: opens a host when a command requires it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from authhost.base_errors import ConfigurationError
from authhost.operations.console import Terminal

if TYPE_CHECKING:
    from authhost_hookspecs import Actor

    from authhost.host import AuthHost
    from authhost.pluginhost.discovery import PluginRegistry
    from authhost.pluginhost.plugin_records import PluginRecord
    from authhost.records import User
    from authhost.settings import Settings

CONFIG = "authhost.toml"
"""Read from the current folder if neither ``--config`` nor AUTHHOST_CONFIG names a file."""
RAW_OPTIONS = "authhost.given"
"""The key in ``ctx.meta`` for the options on the command line, by name, before click has processed them."""


class LazyHost:
    """The `CommandContext` of the contract: the console, and the host, which the first call opens.

    It is closed with click's context. The host does not start the plugins' background
    work, unless a command calls ``ctx.obj(background=True)``.
    """

    @classmethod
    def of(cls, ctx: click.Context) -> LazyHost:
        """Return the instance of a command line. Creates it from the options; closed with ``ctx``."""
        if ctx.obj is None:
            # For --help, click has not processed the other options yet.
            given = {**ctx.meta.get(RAW_OPTIONS, {}), **ctx.params}
            chosen = {f"{name}_plugins": given.get(name) for name in ("blocked", "required")}
            config = given.get("config", os.environ.get("AUTHHOST_CONFIG"))
            ctx.obj = cls(config, **{name: value for name, value in chosen.items() if value})
            ctx.call_on_close(ctx.obj.close)
        lazy_host: LazyHost = ctx.obj
        return lazy_host

    def __init__(self, config: str | None, **overrides: Any) -> None:
        self.config = Path(config) if config else Path(CONFIG) if Path(CONFIG).is_file() else None
        self._overrides = overrides
        self._hosts: dict[tuple[tuple[str, ...], tuple[str, ...], bool, bool], AuthHost] = {}
        self._registry: PluginRegistry | None = None
        self.console = Terminal()

    def __call__(self, *, background: bool = False) -> AuthHost:
        return self.host(check=True, background=background)

    def find_user(self, name: str) -> User:
        """Return the account that ``name`` means; raises `click.ClickException`."""
        from authhost.operations.accounts import find_user

        return find_user(self(), name)

    def operator(self, name: str | None = None) -> Actor:
        """Return who runs the command; raises `click.BadParameter`."""
        from authhost.operations.accounts import operator

        return operator(name)

    def host(self, *, check: bool, background: bool = False) -> AuthHost:
        """Return the host. If ``check`` is false, the database may be missing or out of date."""
        return self._open(self.settings(), check_database=check, background=background)

    def plugins_only(self, *, not_required: Collection[str] = ()) -> AuthHost:
        """Return a host for reading settings and plugins. If there is no secret key, a random one is used.

        It opens although the plugins ``not_required`` are not there.
        """
        settings = self.settings(any_secret=True)
        required = tuple(each for each in settings.required_plugins if each not in not_required)
        settings = replace(settings, required_plugins=required)
        return self._open(settings, check_database=False, background=False)

    def registry(self) -> PluginRegistry:
        """Return the plugins, without opening a host."""
        if self._registry is None:
            from authhost.pluginhost.discovery import PluginRegistry

            self._registry = PluginRegistry(self.settings(any_secret=True), {})
            self._warn_unknown_plugins(self._registry.records)
        return self._registry

    def settings(self, *, any_secret: bool = False) -> Settings:
        """Return the settings; raises `ConfigurationError`. ``any_secret`` replaces a missing secret_key."""
        from authhost.settings import Settings

        try:
            return Settings.load(self.config, **self._overrides)
        except ConfigurationError as error:
            if not any_secret or "secret_key" not in str(error):
                raise
            import secrets

            return Settings.load(self.config, **{**self._overrides, "secret_key": secrets.token_urlsafe(48)})

    def plugin_filter(self) -> Callable[[str], bool]:
        """Return a function that returns whether the settings exclude the plugin of a name.

        Reads only these settings, to avoid importing `Settings`. Raises
        `ConfigurationError` if the file cannot be read.
        """
        values: dict[str, Any] = {}
        if self.config is not None:
            import tomllib

            try:
                values = tomllib.loads(self.config.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self.settings(any_secret=True)  # raises an error with the reason
        for name in ("plugins", "blocked_plugins"):
            text = os.environ.get(f"AUTHHOST_{name.upper()}")
            if text is not None:
                values[name] = [part.strip() for part in text.split(",") if part.strip()]
        values |= self._overrides
        chosen, blocked = values.get("plugins"), values.get("blocked_plugins")
        if not isinstance(chosen, list):
            chosen = None  # as a table, it contains the settings of plugins
        if not isinstance(blocked, list | tuple):
            blocked = ()
        return lambda name: name in blocked or (chosen is not None and name not in chosen)

    def describe(self) -> str:
        """Return a text with the configuration file and the database in use, without secrets."""
        file = self.config.absolute() if self.config else f"none (no --config, AUTHHOST_CONFIG or ./{CONFIG})"
        from authhost.store.engine import shown_database

        try:
            database = shown_database(self.settings(any_secret=True).database_url)
        except ConfigurationError:
            return f"configuration file: {file}"
        return f"configuration file: {file}\ndatabase: {database}"

    def close(self) -> None:
        """Close all hosts."""
        while self._hosts:
            self._hosts.popitem()[1].close()

    def _open(self, settings: Settings, *, check_database: bool, background: bool) -> AuthHost:
        key = (settings.secret_keys, settings.required_plugins, check_database, background)
        if key not in self._hosts:
            from authhost.host import AuthHost

            host = AuthHost(settings, check_database=check_database, background=background)
            self._hosts[key] = host
            if self._registry is None:
                self._registry = host.registry
                self._warn_unknown_plugins(host.registry.records)
        return self._hosts[key]

    def _warn_unknown_plugins(self, records: list[PluginRecord]) -> None:
        from difflib import get_close_matches

        known = [record.name for record in records]
        for name in self._overrides.get("blocked_plugins", ()):
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                click.echo(f"Warning: --block {name}: no plugin of that name is installed{hint}", err=True)
