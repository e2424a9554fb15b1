"""``authhost analytics``."""

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
from authhost_hookspecs import Host
from sqlalchemy.exc import DBAPIError, OperationalError

from authhost_analytics.discretion import discreet
from authhost_analytics.figures import Figures, as_document
from authhost_analytics.periods import HOURS_A_DAY
from authhost_analytics.reading import figures
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import GRAINS, Grain, Span
from authhost_analytics.tables import DIMENSIONS

GetHost = Callable[[], Host]
DAYS = 30
MOST = 10_000
"""Periods of one report."""
NEVER = threading.Event()
"""Waiting for it is sleeping, which Ctrl-C ends."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group()
def analytics() -> None:
    """Read the figures, hand them on, and keep no more than is needed."""


def _settings(host: Host) -> AnalyticsSettings:
    settings: AnalyticsSettings = host.plugin_settings("analytics")
    return settings


def span_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The days that it is about."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in (
        click.option("--until", type=day, help="The last day, in UTC; today by default."),
        click.option("--since", type=day, help=f"The first day, in UTC; {DAYS} days in all by default."),
    ):
        command = option(command)
    return command


by_option = click.option(
    "--by",
    type=click.Choice([*GRAINS, *DIMENSIONS]),
    multiple=True,
    metavar="NAME",
    help="A period (hour, day, week, month), or what events are told apart by "
    f"({', '.join(DIMENSIONS)}); may be given several times. By day and event by default.",
)


READ_ONLY = frozenset({"25006", "42501", 1044, 1142, 1290, 1792})


def _span(host: Host, since: datetime | None, until: datetime | None, grain: Grain) -> Span:
    last = until.date() if until else host.now.date()
    first = since.date() if since else date.fromordinal(max(1, last.toordinal() - DAYS + 1))
    if first > last:
        raise click.UsageError("--since is later than --until")
    span = Span(first, last, grain)
    if (last - first).days * (HOURS_A_DAY if grain == "hour" else 1) > MOST:
        raise click.UsageError(f"{first} to {last} is too long: more than {MOST:,} days, or hours")
    kept = _settings(host).keep_hours_days
    if grain == "hour" and first < host.now.date() - timedelta(days=kept):
        raise click.UsageError(f"figures by the hour are kept for {kept} days; use --by day")
    return span


def _grain(by: Sequence[str]) -> Grain:
    grains = [grain for grain in GRAINS if grain in by]
    if len(grains) > 1:
        raise click.UsageError(f"--by {grains[0]} and --by {grains[1]} exclude each other")
    return grains[0] if grains else "day"


def _rolled_up(host: Host) -> None:
    """What has happened since the last roll-up is in the figures, too."""
    from authhost_analytics.rolling import Busy, roll_up

    try:
        for _ in roll_up(host, _settings(host)):
            pass
    except Busy:
        click.echo("another process rolls up; the newest events may be missing", err=True)
    except DBAPIError as error:
        if not _may_only_read(error):
            raise
        click.echo("the database may only be read; events since the last roll-up are missing", err=True)


def _may_only_read(error: DBAPIError) -> bool:
    """Whether a write was refused because this role, or this file, may only be read.

    By SQLite's words, PostgreSQL's SQLSTATE and MariaDB's number.
    """
    codes = {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}
    return "readonly" in str(error.orig) or not codes.isdisjoint(READ_ONLY)


def _figures(
    get_host: GetHost, since: datetime | None, until: datetime | None, by: Sequence[str]
) -> tuple[Host, Figures]:
    host = get_host()
    span = _span(host, since, until, _grain(by))
    _rolled_up(host)
    return host, figures(host, span, [name for name in DIMENSIONS if name in by] or ["event"])


@analytics.command()
@span_options
@by_option
@click.option("--public", is_flag=True, help="Round to smallest_count, as exports do, to hand it on.")
@json_option
@click.pass_obj
def report(get_host: GetHost, /, public: bool, as_json: bool, **wanted: Any) -> None:
    """Show events, people, funnels, retention and refusals.

    Examples:

      authhost analytics report --since 2026-01-01 --by week

      authhost analytics report --by provider --by outcome --json
    """
    host, found = _figures(get_host, **wanted)
    smallest = _settings(host).smallest_count if public else 1
    if public:
        found = discreet(found, smallest)
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    from rich.console import Console

    from authhost_analytics.report import shown

    Console().print(shown(found, smallest))


@analytics.command()
@span_options
@by_option
@click.option(
    "-o", "output", type=click.Path(dir_okay=False), required=True, help="The file to write; - is the output."
)
@click.pass_obj
def html(get_host: GetHost, /, output: str, **wanted: Any) -> None:
    """Write the report as one page that needs nothing else, rounded to smallest_count.

    Example: authhost analytics html --since 2026-01-01 --by week -o report.html
    """
    from authhost_analytics.page import page

    host, found = _figures(get_host, **wanted)
    smallest = _settings(host).smallest_count
    made = page(found, site_name=host.settings.site_name, made_at=host.now, smallest=smallest)
    with _opened(output) as file:
        file.write(made)
    if output != "-":
        click.echo(f"the report is in {output}", err=True)


@contextmanager
def _opened(output: str) -> Iterator[IO[str]]:
    try:
        with click.open_file(output, "w", encoding="utf-8") as file:
            yield file
    except BrokenPipeError:
        raise  # of `| head`, which click ends quietly
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None


@analytics.command()
@span_options
@click.option("--by", type=click.Choice(GRAINS), default="day", show_default=True, help="The periods.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option(
    "-o", "output", type=click.Path(dir_okay=False), default="-", help="A file; else standard output."
)
@click.pass_obj
def export(
    get_host: GetHost, /, since: datetime | None, until: datetime | None, by: Grain, form: str, output: str
) -> None:
    """Write how many events there were of each kind in each period.

    Counts are rounded to multiples of smallest_count; fewer are left out.

    Example: authhost analytics export --by hour --format csv -o hours.csv
    """
    from authhost_analytics import exporting

    host = get_host()
    span = _span(host, since, until, by)
    _rolled_up(host)
    with _opened(output) as file:
        if form == "csv":
            file.write(",".join(exporting.COLUMNS) + "\n")
        line = exporting.as_csv if form == "csv" else exporting.as_json
        for row in exporting.rows(host, _settings(host), span):
            file.write(line(row) + "\n")


@analytics.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True)
@click.option(
    "--every", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between roll-ups."
)
@click.pass_obj
def prometheus(get_host: GetHost, /, address: str, port: int, every: float) -> None:
    """Answer Prometheus at /metrics, and roll up, until Ctrl-C.

    Example: authhost analytics prometheus --port 9464
    """
    from prometheus_client import start_http_server

    from authhost_analytics.exporting import registry

    host = get_host()
    _rolled_up(host)
    try:
        server, _ = start_http_server(port, address, registry(host, _settings(host)))
    except (OSError, UnicodeError) as error:  # of a name that cannot be one
        why = getattr(error, "strerror", error)
        raise click.ClickException(f"cannot listen at {address}:{port}: {why}") from None
    click.echo(f"http://{address}:{server.server_port}/metrics")
    _until_stopped(every, lambda: _rolled_up(host))


@analytics.command()
@click.option(
    "-o", "output", type=click.Path(dir_okay=False), required=True, help="A file that ends in .prom."
)
@click.pass_obj
def textfile(get_host: GetHost, /, output: str) -> None:
    """Write the metrics for the textfile collector of node_exporter, as a whole or not at all.

    Example: authhost analytics textfile -o /var/lib/node_exporter/authhost.prom
    """
    from prometheus_client import write_to_textfile

    from authhost_analytics.exporting import registry

    host = get_host()
    _rolled_up(host)
    try:
        write_to_textfile(output, registry(host, _settings(host)))
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None


@analytics.command("roll-up")
@click.option("--every", type=click.FloatRange(min=1), help="Go on, every so many seconds, until Ctrl-C.")
@click.option("--all", "everything", is_flag=True, help="Look at all events that are kept.")
@json_option
@click.pass_obj
def roll_up(get_host: GetHost, /, every: float | None, everything: bool, as_json: bool) -> None:
    """Make figures of the events, and delete events that are too old.

    All that reads figures does so first; run it daily where nobody reads them.

    Example: authhost analytics roll-up --every 60
    """
    host = get_host()
    if every is None:
        if not _counted(host, everything, as_json):
            sys.exit(1)
        return
    _until_stopped(every, lambda: _counted(host, everything, as_json))


def _until_stopped(every: float, action: Callable[[], object]) -> None:
    """Do it again and again until Ctrl-C. A database that is away is told of: there is a next time."""
    with suppress(KeyboardInterrupt):
        while True:
            try:
                action()
            except OperationalError as error:
                click.echo(f"the database does not serve: {error.orig}", err=True)
            NEVER.wait(every)


def _counted(host: Host, everything: bool, as_json: bool) -> bool:
    """Roll up once, and say how many events there were; False where another process does it."""
    from authhost_analytics.rolling import Busy, roll_up

    count = 0
    try:
        for events in roll_up(host, _settings(host), everything=everything):
            count += events
            if sys.stderr.isatty():
                click.echo(f"\r{count:,} events \r", nl=False, err=True)
    except Busy:
        click.echo("another process rolls up", err=True)
        return False
    click.echo(json.dumps({"events": count}) if as_json else f"{count:,} events were counted")
    return True


def _uuid(context: click.Context, parameter: click.Parameter, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise click.BadParameter("this is no identifier, such as 01a2b3c4-…") from None


@analytics.command()
@click.argument("user_id", callback=_uuid)
@json_option
@click.pass_obj
def forget(get_host: GetHost, /, user_id: UUID, as_json: bool) -> None:
    """Delete a user's traces, once the account is closed: the events count on as nobody's.

    After a change of secret_key, do it with the former one, too.

    Example: authhost analytics forget 01a2b3c4-…
    """
    from authhost_analytics.forgetting import forget

    count = forget(get_host(), user_id)
    click.echo(json.dumps({"events": count}) if as_json else f"{count:,} events are nobody's now")
