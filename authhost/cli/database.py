"""``authhost db``."""

from __future__ import annotations

import sys

import click

from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import json_option


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
    console = lazy_host.console

    def waiting() -> None:
        console.error("another process is upgrading this database or writing to it; waiting")

    with console.progress(None, "migrations") as bar:
        applied = migrate.upgrade(
            host.engine, host.migrations, waiting=waiting, on_applied=lambda each: bar.advance()
        )
    if as_json:
        console.print_rows([each._asdict() for each in applied], as_json=as_json)
        return
    for each in applied:
        console.print(f"{each.name} {each.revision}: {each.what}")
    database = shown_database(host.settings.database_url)
    console.print(f"{database} is up to date" + ("" if applied else "; there is nothing to apply"))


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
    rows = [{"name": name, **state._asdict()} for name, state in found.items()]
    lazy_host.console.print_rows(rows, as_json=as_json)
    if not all(state.current for state in found.values()):
        sys.exit(1)


@db.command("clean")
@json_option
@click.pass_obj
def db_clean(lazy_host: LazyHost, as_json: bool) -> None:
    """Delete expired keys, sessions and unconfirmed accounts. Run it once a day.

    Example: authhost db clean
    """
    host, console = lazy_host(), lazy_host.console
    with console.progress(None, "deleted rows") as bar:
        deleted = host.delete_expired(on_table=lambda table, count: bar.advance(count))
    rows = [{"table": table, "deleted": count} for table, count in deleted.items()]
    console.print_rows(rows, as_json=as_json)
