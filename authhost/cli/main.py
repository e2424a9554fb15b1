"""The commands."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from authhost.cli.checks import Problem, environment_problems, name_problems, problems, settings_problems
from authhost.cli.hooks import hooks
from authhost.cli.operator import CONFIG, Operator
from authhost.cli.output import emit, json_option
from authhost.cli.plugins import plugins
from authhost.cli.providers import providers
from authhost.errors import ConfigurationError
from authhost.pluginhost.discovery import installed
from authhost.store import migrate
from authhost.store.engine import shown_database

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
    """Authhost's own commands and those of the plugins."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _interruptible():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _interruptible():
            try:
                return super().invoke(ctx)
            except ConfigurationError as error:
                raise Failed(str(error), Operator.of(ctx)) from error
            except DBAPIError as error:
                said = f"the database does not serve: {_in_one_line(error)}"
                raise Failed(said, Operator.of(ctx)) from error
            except click.NoSuchOption as error:
                if not any(error.option_name in each.opts for each in self.params):
                    raise
                hint = f"Put it before the command: `authhost {error.option_name} … COMMAND`."
                raise click.UsageError(f"{error.message} {hint}", error.ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = super().list_commands(ctx)
        try:
            return sorted({*own, *self._of_plugins(ctx)})
        except ConfigurationError as error:
            # Help is needed most where the configuration is wrong.
            click.echo(f"Warning: the plugins' commands are not listed: {error}", err=True)
            return own

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or self._of_plugins(ctx).get(name)

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
            elif name not in records and name in FIRST_PARTY:
                hint = f" `pip install authhost-{name}` brings it."
            raise click.UsageError(error.message + hint, ctx) from None

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        return Operator.of(ctx).registry().commands()


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Aborted!", err=True)
        sys.exit(INTERRUPTED)


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


cli.add_command(plugins)
cli.add_command(hooks)
cli.add_command(providers)


@cli.group("db")
def db() -> None:
    """Bring the database up to date."""


@db.command("upgrade")
@json_option
@click.pass_obj
def db_upgrade(operator: Operator, as_json: bool) -> None:
    """Apply all migrations, authhost's and the plugins', and say which.

    Of several that run at once, one works and the others wait for it. This is
    the command that creates an SQLite file.

    Examples:

      authhost db upgrade

      AUTHHOST_DATABASE_URL=sqlite:///site.sqlite3 authhost db upgrade
    """
    host = operator.host(check=False)
    applied = migrate.upgrade(host.engine, host.migrations, waiting=_say_waiting)
    if as_json:
        emit([each._asdict() for each in applied], as_json, "")
        return
    for each in applied:
        click.echo(f"{each.name} {each.revision}: {each.what}")
    database = shown_database(host.settings.database_url)
    click.echo(f"{database} is up to date" + ("" if applied else "; there was nothing to apply"))


def _say_waiting() -> None:
    click.echo("another process is upgrading this database, or writes to it; waiting for it", err=True)


@db.command("current")
@json_option
@click.pass_obj
def db_current(operator: Operator, as_json: bool) -> None:
    """Show the revision of each history. Exits 1 where one is not the newest.

    Example: authhost db current --json
    """
    host = operator.host(check=False)
    found = migrate.current(host.reader, host.migrations)
    emit([{"name": name, **state._asdict()} for name, state in found.items()], as_json, "")
    if not all(state.current for state in found.values()):
        sys.exit(1)


@db.command("clean")
@json_option
@click.pass_obj
def db_clean(operator: Operator, as_json: bool) -> None:
    """Delete expired keys, sessions and unconfirmed accounts. Run it once a day.

    Example: authhost db clean
    """
    deleted = operator().delete_expired()
    emit([{"table": table, "deleted": count} for table, count in deleted.items()], as_json, "")


@cli.command("check")
@json_option
@click.pass_obj
def check(operator: Operator, as_json: bool) -> None:
    """Look for what is unsafe, impossible or wrong for production.

    Needs no database: one that is missing is a finding, and all else is looked
    at. Plugins add findings of their own. Exits 1 where there is an error, 0
    where there are warnings and hints alone.

    Examples:

      authhost check

      authhost --config production.toml check --json | jq -r .problem
    """
    found = sorted(_found(operator), key=lambda each: LEVELS.index(each.level))
    rows = [each._asdict() for each in found]
    if not any(row["plugin"] for row in rows) and not as_json:
        for row in rows:
            del row["plugin"]
    click.echo(operator.used(), err=as_json)
    emit(rows, as_json, "nothing was found")
    if any(each.level == "error" for each in found):
        sys.exit(1)


LEVELS = ("error", "warning", "hint")


def _found(operator: Operator) -> list[Problem]:
    """All findings, as far as one can get."""
    found: list[Problem] = []
    try:
        operator.settings()
    except ConfigurationError as error:
        found.append(_as_problem(error))
    try:
        settings = operator.settings(any_secret=True)
    except ConfigurationError:
        return [*found, *environment_problems()]
    try:
        return [*found, *problems(operator.plugins_only())]
    except ConfigurationError as error:
        names = [name for name, _ in installed()]
        rest = [*environment_problems(), *settings_problems(settings), *name_problems(settings, names)]
        return [*found, _as_problem(error), *rest]


def _as_problem(error: ConfigurationError) -> Problem:
    """The host does not start: what is wrong, and behind the semicolon what to do."""
    problem, _, do = str(error).partition("; ")
    return Problem("error", problem, do or "correct it; until then no host starts")


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
