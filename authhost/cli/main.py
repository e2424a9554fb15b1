"""The commands."""

from __future__ import annotations

import sys

import click
from sqlalchemy.exc import OperationalError

from authhost.check import Problem, environment_problems, problems
from authhost.cli.hooks import hooks
from authhost.cli.operator import Operator
from authhost.cli.output import emit, json_option
from authhost.cli.plugins import plugins
from authhost.cli.providers import providers
from authhost.errors import ConfigurationError
from authhost.store import migrate


class Commands(click.Group):
    """Authhost's own commands and those of the plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._of_plugins(ctx)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or self._of_plugins(ctx).get(name)

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        return Operator.of(ctx).plugins_only().registry.commands()


@click.group(cls=Commands)
@click.option("--config", envvar="AUTHHOST_CONFIG", type=click.Path(dir_okay=False), help="A TOML file.")
@click.option("--block", "blocked", multiple=True, metavar="NAME", help="Leave this plugin out.")
@click.option("--require", "required", multiple=True, metavar="NAME", help="Fail without this plugin.")
@click.version_option(package_name="authhost")
@click.pass_context
def cli(ctx: click.Context, config: str | None, blocked: tuple[str, ...], required: tuple[str, ...]) -> None:
    """The authentication engine and its plugins.

    Settings come from --config and from AUTHHOST_… variables.

    Examples:

      authhost tour

      authhost --config authhost.toml db upgrade

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
@click.pass_obj
def db_upgrade(operator: Operator) -> None:
    """Apply all migrations, authhost's and the plugins'.

    Example: AUTHHOST_DATABASE_URL=sqlite:///site.sqlite3 authhost db upgrade
    """
    host = operator.host(check=False)
    host.upgrade_database()
    click.echo("the database is up to date")


@db.command("current")
@json_option
@click.pass_obj
def db_current(operator: Operator, as_json: bool) -> None:
    """Show the revision of each history. Exits 1 where one is not the newest."""
    host = operator.host(check=False)
    found = migrate.current(host.engine, host.migrations)
    emit([{"name": name, **state._asdict()} for name, state in found.items()], as_json, "")
    if not all(state.current for state in found.values()):
        sys.exit(1)


@db.command("clean")
@json_option
@click.pass_obj
def db_clean(operator: Operator, as_json: bool) -> None:
    """Delete expired keys and sessions. Run it once a day.

    Example: authhost --config authhost.toml db clean
    """
    deleted = operator().delete_expired()
    emit([{"table": table, "deleted": count} for table, count in deleted.items()], as_json, "")


@cli.command("check")
@json_option
@click.pass_obj
def check(operator: Operator, as_json: bool) -> None:
    """Look for unsafe or impossible settings. Exits 1 where there is one.

    Example: authhost --config authhost.toml check
    """
    try:
        found = problems(operator.host(check=False))
    except ConfigurationError as error:
        found = [Problem("error", "the host does not start", str(error)), *environment_problems()]
    rows = [each._asdict() for each in found]
    emit(rows, as_json, "all is well")
    if any(row["level"] == "error" for row in rows):
        sys.exit(1)


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
    """The entry point: a wrong configuration, or a database that is away, is a sentence, not a traceback."""
    try:
        cli()
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except OperationalError as error:
        click.echo(f"Error: the database does not serve: {error.orig}", err=True)
        sys.exit(2)
