"""``authhost db``."""

from __future__ import annotations

import sys

import click

from authhost.cli.operator import Operator
from authhost.cli.output import emit, json_option


@click.group("db")
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
    from authhost.store import migrate
    from authhost.store.engine import shown_database

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
    from authhost.store import migrate

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
