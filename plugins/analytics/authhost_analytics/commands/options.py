"""Options that several commands share, and the roll-up that precedes each report."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import click
from authhost_hookspecs import CommandContext, Console, Host

from authhost_analytics.dimensions import DIMENSIONS
from authhost_analytics.periods import HOURS_A_DAY
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.spans import GRAINS, Grain, Span

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

    from authhost_analytics.report import Report

DEFAULT_DAYS = 30
MAX_PERIODS = 10_000
"""Days, or hours, of one report."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


class Names(click.Choice[str]):
    """A choice that suggests the nearest name for a misspelt one."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the message of an unknown name."""
        message = super().get_invalid_choice_message(value, ctx)
        nearest = difflib.get_close_matches(str(value), self.choices, n=1)
        return f"{message} Did you mean {nearest[0]!r}?" if nearest else message


def output_option(help_text: str, **options: Any) -> Callable[[Any], Any]:
    """Return the option ``--output``, ``-o``: a file."""
    return click.option("-o", "--output", type=click.Path(dir_okay=False), help=help_text, **options)


def settings_of(host: Host) -> AnalyticsSettings:
    """Return the plugin's settings."""
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
    type=Names([*GRAINS, *DIMENSIONS]),
    multiple=True,
    metavar="NAME",
    help="Group by a period (hour, day, week, month) and by properties of events "
    f"({', '.join(DIMENSIONS)}). May be given several times. Default: day and event.",
)


READ_ONLY = frozenset({"25006", "42501", 1044, 1142, 1290, 1792})
"""SQLSTATEs of PostgreSQL and error numbers of MariaDB for a write that is not allowed."""


def span_of(host: Host, since: datetime | None, until: datetime | None, grain: Grain) -> Span:
    """Return the days from ``since`` to ``until``. Raises `click.UsageError` for none or too many."""
    last = until.date() if until else host.now.date()
    first = since.date() if since else date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if first > last:
        raise click.UsageError("--since is later than --until: exchange them")
    span = Span(first, last, grain)
    if (last - first).days * (HOURS_A_DAY if grain == "hour" else 1) > MAX_PERIODS:
        raise click.UsageError(
            f"{first} to {last} is too long: the limit is {MAX_PERIODS:,} days, or hours with --by hour"
        )
    kept_days = settings_of(host).keep_hours_days
    if grain == "hour" and first < host.now.date() - timedelta(days=kept_days):
        raise click.UsageError(f"counts per hour are kept for {kept_days} days; use --by day")
    return span


def _grain(by: Sequence[str]) -> Grain:
    grains = [grain for grain in GRAINS if grain in by]
    if len(grains) > 1:
        raise click.UsageError(f"--by {grains[0]} and --by {grains[1]} exclude each other: give one period")
    return grains[0] if grains else "day"


def update(host: Host, console: Console) -> None:
    """Run the roll-up if possible, so that the report includes the newest events."""
    from sqlalchemy.exc import DBAPIError

    from authhost_analytics.rollup import Busy, roll_up

    try:
        with console.progress(None, "new events") as bar:
            for events in roll_up(host, settings_of(host)):
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


def report_of(
    context: CommandContext, since: datetime | None, until: datetime | None, by: Sequence[str]
) -> tuple[Host, Report]:
    """Run the roll-up; return the host and the report, with exact counts."""
    from authhost_analytics.queries import read_report

    host = context()
    span = span_of(host, since, until, _grain(by))
    update(host, context.console)
    return host, read_report(host, span, [name for name in DIMENSIONS if name in by] or ["event"])


@contextmanager
def opened(output: str) -> Iterator[IO[str]]:
    """Open a file for writing. An error is reported with the name of the file."""
    try:
        with click.open_file(output, "w", encoding="utf-8") as file:
            yield file
    except BrokenPipeError:
        raise  # Click ends quietly when a pipe such as `| head` is closed.
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from None


def no_json_with_data(output: str, as_json: bool) -> None:
    """Refuse ``--json`` if standard output gets the data itself."""
    if as_json and output == "-":
        raise click.UsageError("--json tells what was written to a file: give its name with --output")
