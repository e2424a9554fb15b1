"""How commands find their host."""

from __future__ import annotations

import secrets
from typing import Any

import click

from authhost.errors import ConfigurationError
from authhost.host import AuthHost
from authhost.settings import Settings


class Operator:
    """Opens the host when a command first asks for it: ``ctx.obj()``."""

    @classmethod
    def of(cls, ctx: click.Context) -> Operator:
        """The operator of a command line, made from its options."""
        if ctx.obj is None:
            chosen = {f"{name}_plugins": ctx.params.get(name) for name in ("blocked", "required")}
            ctx.obj = cls(
                ctx.params.get("config"), **{name: value for name, value in chosen.items() if value}
            )
        operator: Operator = ctx.obj
        return operator

    def __init__(self, config: str | None, **overrides: Any) -> None:
        self._config, self._overrides = config, overrides
        self._host: AuthHost | None = None

    def __call__(self) -> AuthHost:
        return self.host(check=True)

    def host(self, *, check: bool) -> AuthHost:
        """The host; without ``check`` also over a database that is not up to date."""
        if self._host is None:
            self._host = AuthHost(Settings.load(self._config, **self._overrides), check_database=check)
        return self._host

    def plugins_only(self) -> AuthHost:
        """A host for looking at plugins: its secret serves for nothing."""
        try:
            settings = Settings.load(self._config, **self._overrides)
        except ConfigurationError as error:
            if "secret_key" not in str(error):
                raise
            settings = Settings.load(
                self._config, **{**self._overrides, "secret_key": secrets.token_urlsafe(48)}
            )
        return AuthHost(settings, check_database=False)
