"""``authhost audit tail``, ``search``, ``show``, ``top`` and ``export``.

A command imports what it requires when it runs, so that the shell completes its options quickly.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from authhost_hookspecs import CommandContext, Console, Host

from authhost_audit.authentications import AUTHENTICATIONS, as_text
from authhost_audit.commands.options import TIMER, filters, find_record, json_option, query_of, until_ctrl_c
from authhost_audit.vocabulary import TOP_COLUMNS

if TYPE_CHECKING:
    from authhost_audit.search import Query, Record

FOLLOW_OVERLAP = timedelta(seconds=60)
"""`tail -f` shows a record if it is committed within this time after its identifier was made."""
MAX_COUNTED = 10_000
"""`search` counts no more records, or as many as it shows: with millions, it would take long."""
JSON_ONLY = ("erased", "signature")
"""Long fields, which only ``--json`` shows."""


@click.command()
@click.option(
    "-n", "--count", type=click.IntRange(0), default=20, show_default=True, help="Number of records."
)
@click.option("-f", "--follow", is_flag=True, help="Continue with new records until Ctrl-C.")
@filters
@json_option
@click.pass_obj
@until_ctrl_c
def tail(context: CommandContext, /, count: int, follow: bool, as_json: bool, **options: Any) -> None:
    """Show the newest records, or the newest of the selected ones, in the order of time.

    Examples:

      authhost audit tail -f --json

      authhost audit tail -f --user ann@example.org
    """
    from authhost_audit import search as queries

    host = context()
    query = query_of(context, options)
    records = list(queries.search(host, query, newest=count))
    _show(context.console, records, as_json)
    shown = {record["id"]: host.now for record in records}
    started = host.now
    while follow:
        TIMER.wait(1)
        # A record can be committed after a record that was made later, so each search overlaps the last.
        since = max(started, host.now - FOLLOW_OVERLAP)
        found = queries.search(host, replace(query, since=max(since, query.since or since)))
        new = [each for each in found if each["id"] not in shown]
        if new:
            shown |= {record["id"]: host.now for record in new}
            _show(context.console, new, as_json, header=False)
        oldest = host.now - 2 * FOLLOW_OVERLAP
        shown = {identifier: time for identifier, time in shown.items() if time > oldest}


@click.command()
@filters
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Number of records; the newest are shown.",
)
@json_option
@click.pass_obj
def search(context: CommandContext, /, count: int, as_json: bool, **options: Any) -> None:
    """Find records.

    Examples:

      authhost audit search --user ann@example.org --since 2026-01-01

      authhost audit search --outcome refused --ip 203.0.113.7 --json
    """
    from authhost_audit import search as queries

    host = context()
    query = query_of(context, options)
    records = list(queries.search(host, query, newest=count))
    _show(context.console, records, as_json)
    if not as_json:
        context.console.error(_matches(host, query, len(records), count))


def _matches(host: Host, query: Query, shown: int, limit: int) -> str:
    """Return a sentence with the number of records that match, of which ``shown`` are shown."""
    from authhost_audit import search as queries

    number = shown if shown < limit else queries.count(host, query, max(shown, MAX_COUNTED) + 1)
    if number == shown:
        return f"{shown:,} {'record matches' if shown == 1 else 'records match'}"
    newest = f"the newest {shown:,} of"
    if number > MAX_COUNTED:
        return f"{newest} more than {max(shown, MAX_COUNTED):,} records; select fewer, such as with --since"
    return f"{newest} {number:,} records; -n {number} shows all"


@click.command()
@click.argument("event_id")
@json_option
@click.pass_obj
def show(context: CommandContext, /, event_id: str, as_json: bool) -> None:
    """Show all fields of a record: its identifier, or the beginning of it.

    Example: authhost audit show 01a2b3c4-…
    """
    from authhost_audit import export as formats

    record = find_record(context(), event_id)
    if as_json:
        context.console.print(formats.as_json(record))
        return
    values = {
        name: formats.as_json(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if value not in (None, {})
    }
    context.console.print_rows({"field": name, "value": value} for name, value in values.items())


@click.command()
@filters
@click.option(
    "--by",
    type=click.Choice(list(TOP_COLUMNS)),
    required=True,
    help="What to count by. An identifier is the digest of the address or username that was typed.",
)
@click.option(
    "-n", "--count", type=click.IntRange(1), default=10, show_default=True, help="Number of values."
)
@json_option
@click.pass_obj
def top(context: CommandContext, /, by: str, count: int, as_json: bool, **options: Any) -> None:
    """Show the most frequent users, IP addresses, identifiers or reasons.

    Example: authhost audit top --by ip --outcome refused --since 2026-01-01
    """
    from authhost_audit import search as queries

    query = query_of(context, options)
    rows = [{by: value, "records": n} for value, n in queries.top(context(), query, by, count)]
    context.console.print_rows(rows, as_json=as_json, empty="no record matches")


@click.command()
@filters
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "ocsf", "owasp"]), default="jsonl")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True),
    help="Write to this file instead of standard output.",
)
@click.pass_obj
def export(context: CommandContext, /, form: str, output: str | None, **options: Any) -> None:
    """Write all records, or the selected ones, to a file or standard output.

    Each export is recorded in the trail.

    Example: authhost audit export --format ocsf --since 2026-01-01 -o january.jsonl
    """
    from sqlalchemy.exc import DBAPIError

    from authhost_audit import export as formats, search as queries
    from authhost_audit.retention import record_operation

    host = context()
    # Only the names of the options are recorded: a value can be a person's address.
    used = sorted(name for name, value in options.items() if value is not None)
    query = query_of(context, options)
    count = 0
    try:
        opened = click.open_file(output or "-", "w", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    try:
        record_operation(host, "audit_exported", format=form, filters=used)
    except DBAPIError:
        context.console.error("this export is not recorded, because the database is read-only")
    with opened as file:
        if form == "csv":
            file.write(formats.csv_header() + "\n")
        for record in context.console.progress(queries.search(host, query), "records"):
            file.write(_line(record, form) + "\n")
            count += 1
    if output:
        context.console.error(f"{count:,} records were written to {output}")


def _line(record: Record, form: str) -> str:
    from authhost_audit import export as formats

    if form == "csv":
        return formats.as_csv(record)
    if form == "ocsf":
        record = formats.as_ocsf(record)
    elif form == "owasp":
        record = formats.as_owasp(record)
    return formats.as_json(record)


def _show(console: Console, records: list[Record], as_json: bool, *, header: bool = True) -> None:
    """Print records as a table, or as JSON lines."""
    if as_json:
        from authhost_audit import export as formats

        for record in records:
            console.print(formats.as_json(record))
    elif records:
        console.print_rows([_row(record) for record in records], header=header)


def _row(record: Record) -> dict[str, str]:
    fields = {name: record[name] for name in ("method", "provider", "uid", "plugin") if record[name]}
    fields |= {name: value for name, value in record["data"].items() if name not in JSON_ONLY}
    if actor := fields.get("actor"):
        fields["actor"] = f"{actor['kind']} {actor['name']}"
    elif record["actor_id"] not in (None, record["user_id"]):
        fields["actor"] = record["actor_id"]
    if AUTHENTICATIONS in fields:
        fields["by"] = as_text(fields.pop(AUTHENTICATIONS))
        fields.pop("method", None)
        fields.pop("provider", None)
    return {
        "time": f"{record['time'][:19]}Z",
        "event": record["event"],
        "reason": ": ".join(filter(None, (record["flow"], record["reason"]))),
        "user": record["user_id"] or "",
        "IP address": record["ip_address"] or "",
        "details": ", ".join(f"{name} {value}" for name, value in fields.items()),
        "record": record["id"],
    }
