"""The commands."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from authhost.cli.operator import CONFIG, GIVEN, Operator
from authhost.cli.output import json_option
from authhost.errors import ConfigurationError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from sqlalchemy.exc import DBAPIError

LAZY = {
    "check": "authhost.cli.check",
    "db": "authhost.cli.database",
    "hooks": "authhost.cli.hooks",
    "plugins": "authhost.cli.plugins",
    "providers": "authhost.cli.providers",
}
"""The modules of authhost's own commands, imported when one is asked for; each has the name of its command.

They import what a command needs when it runs, so that its help takes no longer than click.
"""

FIRST_PARTY = ("analytics", "audit", "email")
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has ended, as shells have it."""
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
"""What writing to standard output may raise; the error itself names no file."""


class Failed(click.ClickException):
    """What an operator can correct: a sentence, then which configuration and which database it is about."""

    exit_code = 2

    def __init__(self, message: str, operator: Operator) -> None:
        super().__init__(f"{message}\n{operator.used()}")


class Commands(click.Group):
    """Authhost's own commands and those of the plugins.

    Help and shell completion list them without importing a plugin, see
    `authhost.cli.listed_commands`. The plugins are loaded when a command is
    invoked that is not authhost's own.
    """

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _interruptible():
            return super().make_context(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with suppress(click.UsageError):  # raised below
            # click shows the help before it reads the options that say which plugins there are.
            ctx.meta[GIVEN] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _interruptible():
            try:
                return super().invoke(ctx)
            except ConfigurationError as error:
                raise Failed(str(error), Operator.of(ctx)) from error
            except click.NoSuchOption as error:
                if not any(error.option_name in each.opts for each in self.params):
                    raise
                hint = f"Put it before the command: `authhost {error.option_name} … COMMAND`."
                raise click.UsageError(f"{error.message} {hint}", error.ctx) from None
            except Exception as error:
                if not _is_of_database(error):
                    raise
                said = f"the database does not serve: {_in_one_line(error)}"
                raise Failed(said, Operator.of(ctx)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._listed(ctx))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return self._own(name) or Operator.of(ctx).registry().commands().get(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            records = {each.name: each for each in Operator.of(ctx).registry().records}
            name, hint = args[0], ""
            if name in records and records[name].status != "loaded":
                hint = f" The plugin {name} is {records[name].status}: {records[name].reason}."
            elif name in records and "register_commands" in records[name].hooks:
                found = ", ".join(sorted(Operator.of(ctx).registry().commands()))
                hint = f" The plugins' commands are: {found}." if found else ""
            elif name not in records and name in FIRST_PARTY:
                hint = f" `pip install authhost-{name}` brings it."
            raise click.UsageError(error.message + hint, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group(commands=self._listed(ctx)).format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = sorted(self._listed(ctx).items())
        return [
            *(
                CompletionItem(name, help=command.get_short_help_str())
                for name, command in found
                if name.startswith(incomplete) and not command.hidden
            ),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def _own(self, name: str) -> click.Command | None:
        if name in LAZY:
            command: click.Command = getattr(import_module(LAZY[name]), name)
            return command
        return self.commands.get(name)

    def _listed(self, ctx: click.Context) -> dict[str, click.Command]:
        """All commands by name, for a list: those of plugins have their help, and do nothing."""
        from authhost.cli.listed_commands import listed_commands

        own = {name: command for name in (*LAZY, *self.commands) if (command := self._own(name)) is not None}
        try:
            return listed_commands(Operator.of(ctx).leaves_out()) | own
        except ConfigurationError as error:
            # Help is needed most where the configuration is wrong.
            click.echo(f"Warning: the plugins' commands are not listed: {error}", err=True)
            return own


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Aborted!", err=True)
        sys.exit(INTERRUPTED)


def _is_of_database(error: Exception) -> TypeGuard[DBAPIError]:
    """Whether it is a `DBAPIError`: without SQLAlchemy, which a command may not have imported, it is none."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, sqlalchemy.DBAPIError)


def _in_one_line(error: DBAPIError) -> str:
    """What the driver says. Some say it in several lines, some as a number and a text."""
    said = error.orig.args[-1] if error.orig is not None and error.orig.args else error.orig
    return " ".join(str(said).split())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    envvar="AUTHHOST_CONFIG",
    type=click.Path(exists=True, dir_okay=False),
    help=f"A TOML file; ./{CONFIG} by default, if there is one.",
)
@click.option("--block", "blocked", multiple=True, metavar="NAME", help="Leave this plugin out.")
@click.option("--require", "required", multiple=True, metavar="NAME", help="Fail without this plugin.")
@click.version_option(package_name="authhost")
@click.pass_context
def cli(ctx: click.Context, config: str | None, blocked: tuple[str, ...], required: tuple[str, ...]) -> None:
    """The authentication engine and its plugins.

    Settings come from a TOML file and from AUTHHOST_… variables, which come
    first. The file is --config, or AUTHHOST_CONFIG, or ./authhost.toml.

    Exit codes: 0, 1 for what was not found or is wrong, 2 for a wrong command
    line or configuration and for a database that does not serve, 130 for Ctrl-C.

    Examples:

      authhost tour

      authhost db upgrade

      authhost --config /etc/site/authhost.toml check

      authhost plugins list --json
    """
    Operator.of(ctx)


@cli.command("tour")
@click.option(
    "--trace",
    is_flag=True,
    envvar="AUTHHOST_TRACE",
    help="Show each plugin's part in each call, with its time.",
)
@json_option
def tour(trace: bool, as_json: bool) -> None:
    """Take an account through its whole life, on a fresh SQLite file and a local SMTP server.

    Examples:

      authhost tour

      authhost tour --trace

      authhost tour --json | jq .step
    """
    from authhost.cli.tour import run

    sys.exit(run(as_json=as_json, trace=trace))


def main() -> None:
    """The entry point: what an operator can correct is a sentence, not a traceback."""
    codecs.register_error("authhost", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="authhost")
    status: object = None
    try:
        try:
            cli()
        except SystemExit as end:
            status = end.code
        sys.stdout.flush()
    except OSError as error:
        if error.filename is None and error.errno not in OUTPUT_ERRORS:
            raise
        if error.errno != errno.EPIPE:
            click.echo(f"Error: {_about_file(error)}", err=True)
        # What is left in the buffer would be tried again at the very end.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        status = 1
    sys.exit(status)  # type: ignore[arg-type]


def _about_file(error: OSError) -> str:
    name = error.filename or "standard output"
    return f"{name} cannot be used: {error.strerror or type(error).__name__}"


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a terminal cannot show: ``...`` for the ellipsis, ``?`` for most."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode() for each in text)
    return "".join(each or "?" for each in plain), error.end
