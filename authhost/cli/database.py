"""``authhost db``."""

from __future__ import annotations

import sys

import click

from authhost.cli.lazy_host import LazyHost
from authhost.cli.output import json_option, print_rows


@click.group("db")
def db() -> None:
    """Upgrade, inspect and clean the database."""


@db.command("upgrade")
@json_option
@click.pass_obj
def db_upgrade(lazy_host: LazyHost, as_json: bool) -> None:
    """Apply all migrations of authhost and the plugins, and list them.

    If several processes run it at once, one upgrades and the others wait. Only
    this command creates an SQLite file.

    Examples:

      authhost db upgrade

      AUTHHOST_DATABASE_URL=sqlite:///site.sqlite3 authhost db upgrade
    """
    from authhost.store import migrate
    from authhost.store.engine import shown_database

    host = lazy_host.host(check=False)
    applied = migrate.upgrade(host.engine, host.migrations, waiting=_say_waiting)
    if as_json:
        print_rows([each._asdict() for each in applied], as_json, "")
        return
    for each in applied:
        click.echo(f"{each.name} {each.revision}: {each.what}")
    database = shown_database(host.settings.database_url)
    click.echo(f"{database} is up to date" + ("" if applied else "; there is nothing to apply"))


def _say_waiting() -> None:
    click.echo("another process is upgrading this database or writing to it; waiting", err=True)


@db.command("current")
@json_option
@click.pass_obj
def db_current(lazy_host: LazyHost, as_json: bool) -> None:
    """Show the revision of each migration history. Exits with 1 if one is not the newest.

    Example: authhost db current --json
    """
    from authhost.store import migrate

    host = lazy_host.host(check=False)
    found = migrate.current(host.reader, host.migrations)
    print_rows([{"name": name, **state._asdict()} for name, state in found.items()], as_json, "")
    if not all(state.current for state in found.values()):
        sys.exit(1)


@db.command("clean")
@json_option
@click.pass_obj
def db_clean(lazy_host: LazyHost, as_json: bool) -> None:
    """Delete expired keys, sessions and unconfirmed accounts. Run it once a day.

    Example: authhost db clean
    """
    deleted = lazy_host().delete_expired()
    print_rows([{"table": table, "deleted": count} for table, count in deleted.items()], as_json, "")
