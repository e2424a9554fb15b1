"""``authhost maintain``."""

from __future__ import annotations

import sys

import click

from authhost.cli.lazy_host import LazyHost
from authhost.cli.suggestions import suggestion
from authhost.operations.console import json_option


@click.command("maintain")
@click.option("--only", multiple=True, metavar="NAME", help="Only this task, or the tasks of this plugin.")
@click.option("--list", "list_only", is_flag=True, help="List the tasks instead.")
@json_option
@click.pass_obj
def maintain(lazy_host: LazyHost, only: tuple[str, ...], list_only: bool, as_json: bool) -> None:
    """Do the daily work of authhost and all plugins.

    Deletes what has expired, ends deactivations whose time is over, seals and prunes the audit
    trail, aggregates the analytics, and so on. Run it once a day, or more often. Prints a line for
    each task. Exits with 1 if one has failed; the others still run.

    Examples:

      authhost maintain

      authhost maintain --only audit --json
    """
    from authhost.operations import maintenance

    host, console = lazy_host(), lazy_host.console
    names = maintenance.task_names(host)
    known = {*names, *(name.partition(".")[0] for name in names), *maintenance.skipped_plugins(host)}
    for each in only:
        if each not in known:
            hint = suggestion(each, known)
            raise click.UsageError(f"there is no task {each!r}.{hint} `authhost maintain --list` lists them.")
    if list_only:
        console.print_rows([{"task": name} for name in names], as_json=as_json)
        return
    failed = False
    for result in maintenance.maintain(host, only):
        failed |= result.result == "failed"
        if as_json:
            console.print_rows([result._asdict()], as_json=True)
        else:
            console.print(f"{result.task}: {result.result}: {result.detail}")
    if failed:
        sys.exit(1)
