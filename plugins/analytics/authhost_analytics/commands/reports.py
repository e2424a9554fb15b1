"""``authhost analytics report``, ``html`` and ``export``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click
from authhost_hookspecs import CommandContext

from authhost_analytics.commands.options import (
    Names,
    by_option,
    json_option,
    no_json_with_data,
    opened,
    output_option,
    report_of,
    settings_of,
    span_of,
    span_options,
    update,
)
from authhost_analytics.languages import LANGUAGES
from authhost_analytics.spans import GRAINS, Grain


@click.command()
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
    from authhost_analytics.terminal import print_report

    host, found = report_of(context, **options)
    smallest = settings_of(host).smallest_count if public else 1
    if as_json:
        from authhost_analytics.report import as_document
        from authhost_analytics.suppression import suppress_small_counts

        context.console.print(json.dumps(as_document(suppress_small_counts(found, smallest))))
    else:
        print_report(context.console, found, smallest)


@click.command()
@span_options
@by_option
@output_option("The file to write; - for standard output.", required=True)
@click.option(
    "--language",
    "tag",
    type=Names(LANGUAGES),
    help=f"The language of the page: {', '.join(LANGUAGES)}. Default: the setting language.",
    metavar="TAG",
)
@json_option
@click.pass_obj
def html(context: CommandContext, /, output: str, tag: str | None, as_json: bool, **options: Any) -> None:
    """Write the report as one HTML file, with counts rounded to smallest_count.

    Begins with the main figures, compared with the same number of days before.

    Example: authhost analytics html --since 2026-01-01 --by week --output report.html
    """
    from authhost_analytics.comparison import read_comparison
    from authhost_analytics.page import render_page

    no_json_with_data(output, as_json)
    host, found = report_of(context, **options)
    settings = settings_of(host)
    text = render_page(
        found,
        site_name=host.settings.site_name,
        made_at=host.now,
        smallest=settings.smallest_count,
        language_tag=tag or settings.language,
        comparison=read_comparison(host, found.span),
    )
    with opened(output) as file:
        file.write(text)
    span = found.span
    if as_json:
        written = {"file": output, "since": str(span.since), "until": str(span.until)}
        context.console.print(json.dumps({**written, "language": tag or settings.language}))
    elif output != "-":
        context.console.error(f"wrote the report of {span.since} to {span.until} to {output}")


@click.command()
@span_options
@click.option("--by", type=Names(GRAINS), default="day", show_default=True, help="The period.")
@click.option("--format", "form", type=Names(["jsonl", "csv"]), default="jsonl", show_default=True)
@output_option("The file to write. Default: standard output.", default="-")
@json_option
@click.pass_obj
def export(
    context: CommandContext,
    /,
    since: datetime | None,
    until: datetime | None,
    by: Grain,
    form: str,
    output: str,
    as_json: bool,
) -> None:
    """Write the number of events of each kind in each period.

    Counts are rounded to multiples of smallest_count. Counts below it are left out. With
    --json and a file, prints what was written.

    Example: authhost analytics export --by hour --format csv --output hours.csv
    """
    from authhost_analytics import exporting

    no_json_with_data(output, as_json)
    host, count = context(), 0
    span = span_of(host, since, until, by)
    update(host, context.console)
    with opened(output) as file:
        if form == "csv":
            file.write(",".join(exporting.COLUMNS) + "\n")
        line = exporting.as_csv if form == "csv" else exporting.as_json
        for row in exporting.rows(host, settings_of(host), span):
            file.write(line(row) + "\n")
            count += 1
    if as_json:
        context.console.print(json.dumps({"file": output, "format": form, "rows": count}))
    elif output != "-":
        context.console.error(f"wrote {count:,} {'row' if count == 1 else 'rows'} to {output}")
