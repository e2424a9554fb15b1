"""``authhost status`` and ``authhost metrics``."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from authhost.base_errors import ConfigurationError
from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import json_option


@click.command("status")
@click.option("--strict", is_flag=True, help="Exit with 1 also if something is degraded.")
@json_option
@click.pass_obj
def status(lazy_host: LazyHost, strict: bool, as_json: bool) -> None:
    """Show the state of the database and of the plugins. Exits with 1 if something has failed.

    It starts no background work, so it shows nothing of the threads of a running
    application but the rows that they write. A check that takes longer than 5 seconds
    has failed.

    Examples:

      authhost status

      authhost status --strict --json
    """
    from sqlalchemy.exc import SQLAlchemyError

    from authhost.operations.monitoring import health

    host = lazy_host.host(check=False)
    with suppress(ConfigurationError, SQLAlchemyError):  # the state of the database is part of the output
        host.plugins.load()
    found = health(host)
    lazy_host.console.print_rows([each._asdict() for each in found], as_json=as_json)
    wrong = ("failed", "degraded") if strict else ("failed",)
    if any(each.status in wrong for each in found):
        sys.exit(1)


@click.command("metrics")
@click.option("--prometheus", "as_text", is_flag=True, help="Print the text format of Prometheus.")
@json_option
@click.pass_obj
def metrics(lazy_host: LazyHost, as_text: bool, as_json: bool) -> None:
    """Show the numbers that the plugins measure, and the flows and hooks of this process.

    The flows and hooks of an application are in its own processes: see metrics_token.

    Examples:

      authhost metrics --json

      authhost metrics --prometheus
    """
    from authhost.operations.monitoring import metrics
    from authhost.operations.optional_prometheus import prometheus_text

    if as_text and as_json:
        raise click.UsageError("--prometheus and --json exclude each other")
    if as_text:
        lazy_host.console.print(prometheus_text().exposition(lazy_host()).decode().rstrip("\n"))
        return
    rows = [
        {
            "name": each.name,
            "value": each.value,
            "labels": dict(each.labels)
            if as_json
            else ", ".join("=".join(one) for one in each.labels.items()),
            "kind": each.kind,
            "help": each.help,
        }
        for each in metrics(lazy_host())
    ]
    lazy_host.console.print_rows(rows, as_json=as_json, empty="there are no metrics")
