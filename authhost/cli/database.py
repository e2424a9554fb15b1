"""``authhost db``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import json_option

if TYPE_CHECKING:
    from authhost.store.applied_migrations import Migration


@click.group("db")
def db() -> None:
    """Upgrade, inspect and clean the database."""


@db.command("upgrade")
@click.option("--dry-run", is_flag=True, help="Only list what would be applied.")
@click.option("--sql", "as_sql", is_flag=True, help="Only print a script for the database's client.")
@json_option
@click.pass_obj
def db_upgrade(lazy_host: LazyHost, dry_run: bool, as_sql: bool, as_json: bool) -> None:
    """Apply all migrations of authhost and the plugins, and list them.

    If several processes run it at once, one upgrades and the others wait. Only
    this command creates an SQLite file. `--dry-run` and `--sql` change nothing.

    Examples:

      authhost db upgrade

      authhost db upgrade --dry-run

      authhost db upgrade --sql > upgrade.sql && psql --set ON_ERROR_STOP=1 --file upgrade.sql

      AUTHHOST_DATABASE_URL=sqlite:///site.sqlite3 authhost db upgrade
    """
    from authhost.store import migrate, upgrade_plan
    from authhost.store.engine import shown_database

    if as_sql and (dry_run or as_json):
        raise click.UsageError("--sql prints a script, and goes with neither --dry-run nor --json")
    host = lazy_host.host(check=False)
    console = lazy_host.console
    if as_sql:
        click.echo(upgrade_plan.script(host.reader, host.migrations), nl=False)
        return
    if dry_run:
        rows = [each._asdict() for each in upgrade_plan.pending(host.reader, host.migrations)]
        console.print_rows(rows, as_json=as_json, empty="there is nothing to apply")
        return

    def waiting() -> None:
        console.error("another process is upgrading this database or writing to it; waiting")

    took: list[float] = []

    def on_applied(migration: Migration, seconds: float) -> None:
        took.append(seconds)
        bar.advance()

    with console.progress(None, "migrations") as bar:
        applied = migrate.upgrade(host.engine, host.migrations, waiting=waiting, on_applied=on_applied)
    timed = list(zip(applied, took, strict=True))
    if as_json:
        rows = [{**each._asdict(), "seconds": round(seconds, 3)} for each, seconds in timed]
        console.print_rows(rows, as_json=as_json)
        return
    for each, seconds in timed:
        console.print(f"{each.name} {each.revision}: {each.what} ({seconds:.1f} s)")
    database = shown_database(host.settings.database_url)
    console.print(f"{database} is up to date" + ("" if applied else "; there is nothing to apply"))


@db.command("history")
@json_option
@click.pass_obj
def db_history(lazy_host: LazyHost, as_json: bool) -> None:
    """List the migrations that were applied, with the time, and what waits.

    Those that were applied before version 0.2 have no time. `compatible_from` is the oldest revision
    whose programs work with a migration, also while it is applied.

    Example: authhost db history
    """
    from authhost.store import upgrade_plan

    host = lazy_host.host(check=False)
    rows = [
        {**migration._asdict(), "applied": applied_at or ("before 0.2" if is_applied else "not yet")}
        for migration, is_applied, applied_at in upgrade_plan.history(host.reader, host.migrations)
    ]
    lazy_host.console.print_rows(rows, as_json=as_json)


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
