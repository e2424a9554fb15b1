"""The command group ``authhost`` and its entry point."""

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

from authhost.base_errors import ConfigurationError
from authhost.cli.lazy_host import CONFIG, RAW_OPTIONS, LazyHost
from authhost.cli.suggestions import suggestion
from authhost.operations.console import fitted, json_option, shortened

if TYPE_CHECKING:
    from authhost_hookspecs import FlowError, Refused
    from click.shell_completion import CompletionItem
    from sqlalchemy.exc import DBAPIError

LAZY_COMMANDS = {
    "check": "authhost.cli.check",
    "db": "authhost.cli.database",
    "hooks": "authhost.cli.hooks",
    "init": "authhost.cli.init",
    "keys": "authhost.cli.keys",
    "maintain": "authhost.cli.maintain",
    "metrics": "authhost.cli.monitoring",
    "plugins": "authhost.cli.plugins",
    "providers": "authhost.cli.providers",
    "serve": "authhost.cli.serve",
    "status": "authhost.cli.monitoring",
    "users": "authhost.cli.users",
}
"""The modules of authhost's commands by name. A module is imported when its command is used.

The modules import their dependencies when a command runs, so that help takes no longer than importing click.
"""

BUNDLED_PLUGINS = ("analytics", "audit", "email", "mfa")
EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
"""Errors of writing to standard output. Such an error contains no file name."""


class OperatorError(click.ClickException):
    """An error that the operator can correct. Prints the message, the configuration file and the database."""

    exit_code = 2

    def __init__(self, message: str, lazy_host: LazyHost) -> None:
        super().__init__(f"{message}\n{lazy_host.describe()}")


class CommandGroup(click.Group):
    """The commands of authhost and of the plugins.

    Help and shell completion list them without importing a plugin, see
    `authhost.cli.command_discovery`. The plugins are loaded when a command is
    invoked that is not one of authhost.
    """

    def main(self, *arguments: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line like `click.Command.main`. Errors are safe to show, and fit the terminal."""
        run: Any = super().main
        if not standalone_mode:
            return run(*arguments, standalone_mode=False, **extra)
        if os.environ.get("NO_COLOR"):
            extra["color"] = False
        try:
            with _exit_on_interrupt():
                code = run(*arguments, standalone_mode=False, **extra)
        except click.ClickException as error:
            message = fitted(shortened(error.format_message()), sys.stderr, indent=len("Error: "))
            if isinstance(error, click.UsageError):
                click.UsageError(message, error.ctx).show()
            else:
                click.ClickException(message).show()
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Aborted!", err=True)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _exit_on_interrupt():
            return super().make_context(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for number, each in enumerate(args, 1):
            if not each.isascii() and any("\ud800" <= character <= "\udfff" for character in each):
                raise click.UsageError(f"argument {number} is not valid UTF-8", ctx)
        with suppress(click.UsageError):  # raised below
            # click shows the help before it processes the options that select the plugins.
            ctx.meta[RAW_OPTIONS] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _exit_on_interrupt():
            try:
                return super().invoke(ctx)
            except ConfigurationError as error:
                raise OperatorError(str(error), LazyHost.of(ctx)) from error
            except click.NoSuchOption as error:
                if not any(error.option_name in each.opts for each in self.params):
                    raise
                hint = f"Put it before the command: `authhost {error.option_name} … COMMAND`."
                raise click.UsageError(f"{error.message} {hint}", error.ctx) from None
            except Exception as error:
                if _is_refusal(error):
                    from authhost.operations.accounts import refusal

                    raise refusal(error) from None
                if not _is_database_error(error):
                    raise
                message = f"the database cannot be used: {_driver_message(error)}"
                raise OperatorError(message, LazyHost.of(ctx)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._all_commands(ctx))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = self._builtin_command(name)
        if command is None and ctx.resilient_parsing:  # the shell completes
            return self._completed_command(ctx, name)
        return command or LazyHost.of(ctx).registry().commands().get(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            records = {each.name: each for each in LazyHost.of(ctx).registry().records}
            name, hint = args[0], ""
            if name in records and records[name].status != "loaded":
                hint = f" The plugin {name} is {records[name].status}: {records[name].reason}."
            elif name in records and "register_commands" in records[name].hooks:
                found = ", ".join(sorted(LazyHost.of(ctx).registry().commands()))
                hint = f" The plugins' commands are: {found}." if found else ""
            elif name not in records and name in BUNDLED_PLUGINS:
                hint = f" `pip install authhost-{name}` brings it."
            else:
                hint = suggestion(name, self.list_commands(ctx))
            raise click.UsageError(error.message + hint, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group(commands=self._all_commands(ctx)).format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = sorted(self._all_commands(ctx).items())
        return [
            *(
                CompletionItem(name, help=command.get_short_help_str())
                for name, command in found
                if name.startswith(incomplete) and not command.hidden
            ),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def _completed_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from authhost.cli.command_discovery import discover_commands, import_command

        with suppress(ConfigurationError):
            if name in discover_commands(LazyHost.of(ctx).plugin_filter()):
                return import_command(name) or LazyHost.of(ctx).registry().commands().get(name)
        return None

    def _builtin_command(self, name: str) -> click.Command | None:
        if name in LAZY_COMMANDS:
            command: click.Command = getattr(import_module(LAZY_COMMANDS[name]), name)
            return command
        return self.commands.get(name)

    def _all_commands(self, ctx: click.Context) -> dict[str, click.Command]:
        """Return all commands by name, for a list. Those of plugins are stubs with a help text."""
        from authhost.cli.command_discovery import discover_commands

        builtin = {
            name: command
            for name in (*LAZY_COMMANDS, *self.commands)
            if (command := self._builtin_command(name)) is not None
        }
        try:
            return discover_commands(LazyHost.of(ctx).plugin_filter()) | builtin
        except ConfigurationError as error:
            # Show the help even if the configuration is wrong.
            click.echo(f"Warning: the plugins' commands are not listed: {error}", err=True)
            return builtin


@contextmanager
def _exit_on_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Aborted!", err=True)
        sys.exit(EXIT_INTERRUPTED)


def _is_refusal(error: Exception) -> TypeGuard[FlowError | Refused]:
    """Return whether a flow or a plugin has refused something, without importing the contract."""
    contract = sys.modules.get("authhost_hookspecs")
    return contract is not None and isinstance(error, contract.FlowError | contract.Refused)


def _is_database_error(error: Exception) -> TypeGuard[DBAPIError]:
    """Return whether the error is a `DBAPIError`, without importing SQLAlchemy."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, sqlalchemy.DBAPIError)


def _driver_message(error: DBAPIError) -> str:
    """Return the driver's message in one line. Some drivers use several lines, or a number and a text."""
    message = error.orig.args[-1] if error.orig is not None and error.orig.args else error.orig
    return " ".join(str(message).split())


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    envvar="AUTHHOST_CONFIG",
    type=click.Path(exists=True, dir_okay=False),
    help=f"The TOML file with the settings. Default: ./{CONFIG}, if it exists.",
)
@click.option("--block", "blocked", multiple=True, metavar="NAME", help="Do not load this plugin.")
@click.option("--require", "required", multiple=True, metavar="NAME", help="Fail if it is not loaded.")
@click.option(
    "--log-format",
    envvar="AUTHHOST_LOG_FORMAT",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="json: log lines of JSON to standard error.",
)
@click.version_option(package_name="authhost")
@click.pass_context
def cli(
    ctx: click.Context,
    config: str | None,
    blocked: tuple[str, ...],
    required: tuple[str, ...],
    log_format: str,
) -> None:
    """The authentication engine and its plugins.

    Settings are read from a TOML file and from AUTHHOST_… environment variables,
    which take precedence. The file is --config, AUTHHOST_CONFIG or ./authhost.toml.

    Exit codes: 0 for success, 1 if it was refused, something was not found or a
    check failed, 2 for an invalid command line or configuration or a database
    error, 130 for Ctrl-C.

    Examples:

      authhost tour

      authhost db upgrade

      authhost --config /etc/site/authhost.toml check

      authhost plugins list --json

      authhost --log-format json serve
    """
    if log_format == "json":
        from logging.config import dictConfig

        from authhost.telemetry.logs import json_config

        dictConfig(json_config())
    LazyHost.of(ctx)


@cli.command("tour")
@click.option(
    "--trace",
    is_flag=True,
    envvar="AUTHHOST_TRACE",
    help="Show which plugins each step calls, with the time of each call.",
)
@json_option
def tour(trace: bool, as_json: bool) -> None:
    """Run every flow with one account, on a new SQLite file and a local SMTP server.

    Examples:

      authhost tour

      authhost tour --trace

      authhost tour --json | jq .step
    """
    from authhost.cli.tour import run

    sys.exit(run(as_json=as_json, trace=trace))


def main() -> None:
    """The entry point. Errors that an operator can correct are shown without a traceback."""
    codecs.register_error("authhost", _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii" if _wants_ascii() else None, errors="authhost")
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
            click.echo(f"Error: {_describe_file_error(error)}", err=True)
        # Otherwise Python would try to write the rest of the buffer again at exit.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        status = 1
    sys.exit(status)  # type: ignore[arg-type]


def _wants_ascii() -> bool:
    """Return whether the locale is C. Python writes UTF-8 then, see PEP 540."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG")
    is_chosen = os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8") == "1"
    return locale in ("C", "POSIX") and not is_chosen


def _describe_file_error(error: OSError) -> str:
    name = error.filename or "standard output"
    return f"{name} cannot be used: {error.strerror or type(error).__name__}"


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Return replacements for characters that a terminal cannot show, such as ``...`` or ``?``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode() for each in text)
    return "".join(each or "?" for each in plain), error.end
