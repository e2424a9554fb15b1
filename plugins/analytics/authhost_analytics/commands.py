"""The command line ``authhost analytics``."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from typing import IO, Any
from uuid import UUID

import click
from authhost_hookspecs import CommandContext, Console, Host
from sqlalchemy.exc import DBAPIError, OperationalError

from authhost_analytics.periods import HOURS_A_DAY
from authhost_analytics.queries import read_report
from authhost_analytics.report import Report, as_document
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import GRAINS, Grain, Span
from authhost_analytics.suppression import suppress_small_counts
from authhost_analytics.tables import DIMENSIONS

DEFAULT_DAYS = 30
MAX_PERIODS = 10_000
"""Days, or hours, of one report."""
NEVER_SET = threading.Event()
"""Waiting for it pauses the process; Ctrl-C ends the wait."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group()
def analytics() -> None:
    """Show, export and maintain statistics about logins, signups and users."""


def _settings(host: Host) -> AnalyticsSettings:
    settings: AnalyticsSettings = host.plugin_settings("analytics")
    return settings


def span_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--since`` and ``--until`` to a command."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in (
        click.option("--until", type=day, help="The last day, in UTC. Default: today."),
        click.option(
            "--since", type=day, help=f"The first day, in UTC. Default: {DEFAULT_DAYS} days up to --until."
        ),
    ):
        command = option(command)
    return command


by_option = click.option(
    "--by",
    type=click.Choice([*GRAINS, *DIMENSIONS]),
    multiple=True,
    metavar="NAME",
    help="Group by a period (hour, day, week, month) and by properties of events "
    f"({', '.join(DIMENSIONS)}). May be given several times. Default: day and event.",
)


READ_ONLY = frozenset({"25006", "42501", 1044, 1142, 1290, 1792})
"""SQLSTATEs of PostgreSQL and error numbers of MariaDB for a write that is not allowed."""


def _span(host: Host, since: datetime | None, until: datetime | None, grain: Grain) -> Span:
    last = until.date() if until else host.now.date()
    first = since.date() if since else date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if first > last:
        raise click.UsageError("--since is later than --until")
    span = Span(first, last, grain)
    if (last - first).days * (HOURS_A_DAY if grain == "hour" else 1) > MAX_PERIODS:
        raise click.UsageError(
            f"{first} to {last} is too long: the limit is {MAX_PERIODS:,} days, or hours with --by hour"
        )
    kept_days = _settings(host).keep_hours_days
    if grain == "hour" and first < host.now.date() - timedelta(days=kept_days):
        raise click.UsageError(f"counts per hour are kept for {kept_days} days; use --by day")
    return span


def _grain(by: Sequence[str]) -> Grain:
    grains = [grain for grain in GRAINS if grain in by]
    if len(grains) > 1:
        raise click.UsageError(f"--by {grains[0]} and --by {grains[1]} exclude each other: give one period")
    return grains[0] if grains else "day"


def _update(host: Host, console: Console) -> None:
    """Run the roll-up if possible, so that the report includes the newest events."""
    from authhost_analytics.rollup import Busy, roll_up

    try:
        with console.progress(None, "new events") as bar:
            for events in roll_up(host, _settings(host)):
                bar.advance(events)
    except Busy:
        console.error("another process is running the roll-up; the newest events may be missing")
    except DBAPIError as error:
        if not _is_read_only(error):
            raise
        console.error("the database is read-only; events since the last roll-up are missing")


def _is_read_only(error: DBAPIError) -> bool:
    """Return whether a write failed because the database role or file may only read.

    SQLite is recognised by its message, PostgreSQL by SQLSTATE, MariaDB by error number.
    """
    codes = {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}
    return "readonly" in str(error.orig) or not codes.isdisjoint(READ_ONLY)


def _report(
    context: CommandContext, since: datetime | None, until: datetime | None, by: Sequence[str]
) -> tuple[Host, Report]:
    host = context()
    span = _span(host, since, until, _grain(by))
    _update(host, context.console)
    return host, read_report(host, span, [name for name in DIMENSIONS if name in by] or ["event"])


@analytics.command()
@span_options
@by_option
@click.option("--public", is_flag=True, help="Round counts to smallest_count. Smaller counts are shown as 0.")
@json_option
@click.pass_obj
def report(context: CommandContext, /, public: bool, as_json: bool, **options: Any) -> None:
    """Show events, unique users, funnels, retention and refusals.

    Examples:

      authhost analytics report --since 2026-01-01 --by week

      authhost analytics report --by provider --by outcome --json
    """
    host, found = _report(context, **options)
    smallest = _settings(host).smallest_count if public else 1
    if public:
        found = suppress_small_counts(found, smallest)
    if as_json:
        context.console.print(json.dumps(as_document(found)))
        return
    from rich.console import Console

    from authhost_analytics.terminal import render

    Console().print(render(found, smallest))


@analytics.command()
@span_options
@by_option
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False),
    required=True,
    help="The file to write; - for standard output.",
)
@click.pass_obj
def html(context: CommandContext, /, output: str, **options: Any) -> None:
    """Write the report as one HTML file, with counts rounded to smallest_count.

    Example: authhost analytics html --since 2026-01-01 --by week -o report.html
    """
    from authhost_analytics.page import render_page

    host, found = _report(context, **options)
    smallest = _settings(host).smallest_count
    text = render_page(found, site_name=host.settings.site_name, made_at=host.now, smallest=smallest)
    with _opened(output) as file:
        file.write(text)
    if output != "-":
        context.console.error(f"wrote the report to {output}")


@contextmanager
def _opened(output: str) -> Iterator[IO[str]]:
    try:
        with click.open_file(output, "w", encoding="utf-8") as file:
            yield file
    except BrokenPipeError:
        raise  # Click ends quietly when a pipe such as `| head` is closed.
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from None


@analytics.command()
@span_options
@click.option("--by", type=click.Choice(GRAINS), default="day", show_default=True, help="The period.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False),
    default="-",
    help="The file to write. Default: standard output.",
)
@click.pass_obj
def export(
    context: CommandContext,
    /,
    since: datetime | None,
    until: datetime | None,
    by: Grain,
    form: str,
    output: str,
) -> None:
    """Write the number of events of each kind in each period.

    Counts are rounded to multiples of smallest_count. Counts below it are left out.

    Example: authhost analytics export --by hour --format csv -o hours.csv
    """
    from authhost_analytics import exporting

    host = context()
    span = _span(host, since, until, by)
    _update(host, context.console)
    with _opened(output) as file:
        if form == "csv":
            file.write(",".join(exporting.COLUMNS) + "\n")
        line = exporting.as_csv if form == "csv" else exporting.as_json
        for row in exporting.rows(host, _settings(host), span):
            file.write(line(row) + "\n")


@analytics.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="The TCP port.")
@click.option(
    "--every", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between roll-ups."
)
@click.pass_obj
def prometheus(context: CommandContext, /, address: str, port: int, every: float) -> None:
    """Serve metrics for Prometheus at /metrics.

    Runs the roll-up regularly. Ctrl-C ends the command.

    Example: authhost analytics prometheus --port 9464
    """
    from prometheus_client import start_http_server

    from authhost_analytics.exporting import registry

    host = context()
    _update(host, context.console)
    try:
        server, _ = start_http_server(port, address, registry(host, _settings(host)))
    except (OSError, UnicodeError) as error:  # UnicodeError: the host name is not valid.
        reason = getattr(error, "strerror", error)
        raise click.ClickException(f"cannot listen at {address}:{port}: {reason}") from None
    context.console.print(f"http://{address}:{server.server_port}/metrics")
    _repeat(context.console, every, lambda: _update(host, context.console))


@analytics.command()
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False),
    required=True,
    help="The file to write; its name ends in .prom.",
)
@click.pass_obj
def textfile(context: CommandContext, /, output: str) -> None:
    """Write the metrics to a file, for the textfile collector of node_exporter.

    An existing file is replaced in one step.

    Example: authhost analytics textfile -o /var/lib/node_exporter/authhost.prom
    """
    from prometheus_client import write_to_textfile

    from authhost_analytics.exporting import registry

    host = context()
    _update(host, context.console)
    try:
        write_to_textfile(output, registry(host, _settings(host)))
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from None


@analytics.command("roll-up")
@click.option("--every", type=click.FloatRange(min=1), help="Repeat after this many seconds, until Ctrl-C.")
@click.option("--all", "everything", is_flag=True, help="Check all stored events, not only recent ones.")
@json_option
@click.pass_obj
def roll_up(context: CommandContext, /, every: float | None, everything: bool, as_json: bool) -> None:
    """Aggregate new events, and delete events older than keep_days.

    Every command that reads statistics runs it first. Run it daily if no such command is run daily.

    Example: authhost analytics roll-up --every 60
    """
    host = context()
    if every is None:
        if not _roll_up_once(host, context.console, everything, as_json):
            sys.exit(1)
        return
    _repeat(context.console, every, lambda: _roll_up_once(host, context.console, everything, as_json))


def _repeat(console: Console, every: float, action: Callable[[], object]) -> None:
    """Run ``action`` every so many seconds until Ctrl-C. A database error is reported, and tried again."""
    with suppress(KeyboardInterrupt):
        while True:
            try:
                action()
            except OperationalError as error:
                console.error(f"database error, trying again in {every:g} seconds: {error.orig}")
            NEVER_SET.wait(every)


def _roll_up_once(host: Host, console: Console, everything: bool, as_json: bool) -> bool:
    """Run the roll-up and print the number of counted events. Return False if another process runs it."""
    from authhost_analytics.rollup import Busy, roll_up

    count = 0
    try:
        with console.progress(None, "events") as bar:
            for events in roll_up(host, _settings(host), everything=everything):
                count += events
                bar.advance(events)
    except Busy:
        console.error("another process is running the roll-up")
        return False
    console.print(json.dumps({"events": count}) if as_json else f"counted {count:,} events")
    return True


def _uuid(context: click.Context, parameter: click.Parameter, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise click.BadParameter("not a user id such as 01a2b3c4-89ab-7def-8123-456789abcdef") from None


@analytics.command()
@click.argument("user_id", callback=_uuid)
@json_option
@click.pass_obj
def forget(context: CommandContext, /, user_id: UUID, as_json: bool) -> None:
    """Erase a user from the stored events.

    Removes the user's pseudonyms and exact times. The events are still counted, but refer to
    no user. Run it after the account is closed. After a change of secret_key, run it with the
    former key too.

    Example: authhost analytics forget 01a2b3c4-89ab-7def-8123-456789abcdef
    """
    from authhost_analytics.erasure import erase_user

    count = erase_user(context(), user_id)
    context.console.print(
        json.dumps({"events": count}) if as_json else f"{count:,} events no longer refer to a user"
    )
