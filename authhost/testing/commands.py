"""``ctx.obj`` for tests of commands."""

from __future__ import annotations

from authhost_hookspecs import Actor

from authhost.host import AuthHost
from authhost.operations.accounts import find_user, operator
from authhost.operations.console import Terminal
from authhost.records import User


class CommandContext:
    """The object ``ctx.obj`` of a command: ``CliRunner().invoke(command, […], obj=CommandContext(host))``."""

    def __init__(self, host: AuthHost) -> None:
        self._host = host
        self.console = Terminal()

    def __call__(self, *, background: bool = False) -> AuthHost:
        return self._host

    def find_user(self, name: str) -> User:
        """Return the account that ``name`` means; raises `click.ClickException`."""
        return find_user(self._host, name)

    def operator(self, name: str | None = None) -> Actor:
        """Return who runs the command; raises `click.BadParameter`."""
        return operator(name)
