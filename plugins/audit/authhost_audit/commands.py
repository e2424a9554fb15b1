"""``authhost audit``."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from authhost_hookspecs import Host
from sqlalchemy.exc import DBAPIError

from authhost_audit import keeping, reading
from authhost_audit.reading import Query, Record
from authhost_audit.settings import AuditSettings
from authhost_audit.vocabulary import EVENTS, REASONS

GetHost = Callable[[], Host]
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
BACK = timedelta(seconds=60)
COUNTED = 10_000
"""How far `search` counts the records that it does not show."""
AMBIGUOUS = 5
"""How many users are named where a part of an identifier is that of several."""
LONG = ("erased", "signature")
"""What only ``--json`` shows of a record."""
LOOK_EVERY = timedelta(hours=1)
"""How often a sealer that goes on looks for records that were passed over."""
SHOWN = 10
"""Notes that `verify` shows one by one."""
NEVER = threading.Event()
"""Waiting for it is sleeping, which Ctrl-C ends."""


def until_ctrl_c(command: Callable[..., None]) -> Callable[..., None]:
    """Ctrl-C is how it is meant to end."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        with suppress(KeyboardInterrupt):
            command(*arguments, **options)

    return run


@click.group()
def audit() -> None:
    """Read, seal, verify and forward the audit trail."""


def _settings(host: Host) -> AuditSettings:
    settings: AuditSettings = host.plugin_settings("audit")
    return settings


def _time(context: click.Context, parameter: click.Parameter, value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None else None


def _uuid(context: click.Context, parameter: click.Parameter, value: str | None) -> UUID | None:
    try:
        return UUID(value) if value is not None else None
    except ValueError:
        raise click.BadParameter("this is no identifier, such as 01a2b3c4-…") from None


def _event(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in EVENTS:
        raise click.BadParameter(f"there is no event {value!r}{_instead(value, EVENTS)}")
    return value


def _ip(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        found = ipaddress.ip_address(value)
        return str(getattr(found, "ipv4_mapped", None) or found)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address, such as 203.0.113.7 or 2001:db8::7") from None


def _instead(value: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(names))}"


def _query(host: Host, wanted: dict[str, Any]) -> Query:
    """The options of `filters` as a query; raises `click.BadParameter` for those that can find nothing."""
    user, address, reason = wanted.pop("user"), wanted.pop("address"), wanted["reason"]
    since, until = wanted["since"], wanted["until"]
    if since is not None and until is not None and since >= until:
        raise click.BadParameter("--since must be before --until")
    if reason is not None and reason not in REASONS and not reading.knows_reason(host, reason):
        raise click.BadParameter(f"no record has the reason {reason!r}{_instead(reason, REASONS)}")
    return Query(
        **wanted,
        user_id=_user(host, user) if user is not None else None,
        identifiers=host.identifier_digests(address) if address is not None else None,
    )


def _user(host: Host, value: str) -> UUID:
    """A user by identifier, or by the beginning or the end of one, as `tail` shows it."""
    with suppress(ValueError):
        return UUID(value)
    part = value.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{4,31}", part):
        raise click.BadParameter(
            f"--user: {value!r} is no identifier, such as 01a2b3c4-…, nor four digits or more of its "
            "beginning or end"
        )
    found = reading.users(host, part, AMBIGUOUS)
    if not found:
        raise click.BadParameter(
            f"--user: no record is by or about a user whose identifier begins or ends with {value}"
        )
    if len(found) > 1:
        raise click.BadParameter(
            f"--user: the identifiers of several users begin or end with {value}: "
            f"{', '.join(str(each) for each in found)}"
        )
    return found[0]


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `Query`."""
    times = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
    for option in (
        click.option("--until", type=times, callback=_time, help="Before this time, in UTC."),
        click.option("--since", type=times, callback=_time, help="From this time on, in UTC."),
        click.option("--request", "request_id", callback=_uuid, help="One unit of work."),
        click.option("--provider", help="Of this provider."),
        click.option("--ip", "ip_address", callback=_ip, help="From this IP address."),
        click.option("--reason", help="Refused for this reason, such as invalid_credentials."),
        click.option("--outcome", type=click.Choice(["success", "refused"])),
        click.option("--event", callback=_event, help="Of this event, such as user_logged_in."),
        click.option("--address", help="Attempts in which this address or username was typed."),
        click.option(
            "--user", help="By or about this user: an identifier, or the part of one that tail shows."
        ),
    ):
        command = option(command)
    return command


# Reading.


@audit.command()
@click.option("-n", "count", type=click.IntRange(0), default=20, show_default=True, help="How many events.")
@click.option("-f", "follow", is_flag=True, help="Go on with new ones until Ctrl-C.")
@json_option
@click.pass_obj
@until_ctrl_c
def tail(get_host: GetHost, /, count: int, follow: bool, as_json: bool) -> None:
    """Show the newest events, the oldest of them first.

    Example: authhost audit tail -f --json
    """
    host = get_host()
    records = list(reading.search(host, Query(), newest=count))
    _show(records, as_json)
    shown = {record["id"]: host.now for record in records}
    begun = host.now
    while follow:
        NEVER.wait(1)
        # A record may be committed after one that was made later: what is new is looked for a while back.
        since = max(begun, host.now - BACK)
        new = [each for each in reading.search(host, Query(since=since)) if each["id"] not in shown]
        if new:
            shown |= {record["id"]: host.now for record in new}
            _show(new, as_json, header=False)
        shown = {identifier: at for identifier, at in shown.items() if at > host.now - 2 * BACK}


@audit.command()
@filters
@click.option(
    "-n", "count", type=click.IntRange(0), default=100, show_default=True, help="How many of the newest."
)
@json_option
@click.pass_obj
def search(get_host: GetHost, /, count: int, as_json: bool, **wanted: Any) -> None:
    """Find records.

    Examples:

      authhost audit search --user 01a2b3c4-… --since 2026-01-01

      authhost audit search --outcome refused --ip 203.0.113.7 --json
    """
    host = get_host()
    query = _query(host, wanted)
    records = list(reading.search(host, query, newest=count))
    _show(records, as_json)
    more = reading.count(host, query, len(records) + COUNTED + 1) - len(records)
    if more > COUNTED:
        click.echo(f"more than {COUNTED:,} older records are not shown; see --since, or -n", err=True)
    elif more > 0:
        click.echo(f"{more:,} older records are not shown; -n {len(records) + more} shows all", err=True)


@audit.command()
@filters
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "ocsf", "owasp"]), default="jsonl")
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, writable=True), help="A file; else standard output."
)
@click.pass_obj
def export(get_host: GetHost, /, form: str, output: str | None, **wanted: Any) -> None:
    """Write out all records, or those that are wanted. The export is a record itself.

    Example: authhost audit export --format ocsf --since 2026-01-01 -o january.jsonl
    """
    host = get_host()
    # Not what was asked for: it may be somebody's address.
    asked = sorted(name for name, value in wanted.items() if value is not None)
    query = _query(host, wanted)
    count = 0
    try:
        opened = click.open_file(output or "-", "w", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    try:
        keeping.note(host, "audit_exported", format=form, filters=asked)
    except DBAPIError:
        click.echo("this export is not recorded: the database may only be read", err=True)
    with opened as file:
        if form == "csv":
            file.write(reading.csv_header() + "\n")
        for record in reading.search(host, query):
            file.write(_line(record, form) + "\n")
            count += 1
            if output and count % 100_000 == 0:
                click.echo(f"{count:,} records", err=True)
    if output:
        click.echo(f"{count:,} records are in {output}", err=True)


def _line(record: Record, form: str) -> str:
    if form == "csv":
        return reading.as_csv(record)
    if form == "ocsf":
        record = reading.as_ocsf(record)
    elif form == "owasp":
        record = reading.as_owasp(record)
    return reading.as_json(record)


def _show(records: list[Record], as_json: bool, *, header: bool = True) -> None:
    if as_json:
        for record in records:
            click.echo(reading.as_json(record))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=header)
    for name in ("time", "event", "why", "user", "from", "details"):
        table.add_column(name, overflow="fold")
    for record in records:
        why = ": ".join(filter(None, (record["flow"], record["reason"])))
        user = record["user_id"][-12:] if record["user_id"] else ""
        said = {name: value for name, value in record["data"].items() if name not in LONG}
        parts = {name: record[name] for name in ("method", "provider", "uid", "plugin") if record[name]}
        details = ", ".join(f"{name} {value}" for name, value in {**parts, **said}.items())
        cells = (record["time"][:19], record["event"], why, user, record["ip_address"] or "", details)
        table.add_row(*(Text("".join(c for c in cell if c.isprintable())) for cell in cells))
    Console().print(table)


# Sealing and verifying.


@audit.command("new-key")
def new_key() -> None:
    """Make a key that signs seals.

    Example: authhost audit new-key
    """
    from authhost_audit.signing import new_key

    secret, public = new_key()
    click.echo(f"AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY={secret}")
    click.echo(f"public key, for those who verify, and for former_keys one day: {public}", err=True)


@audit.command()
@click.option("--every", type=click.FloatRange(min=1), help="Go on, every so many seconds, until Ctrl-C.")
@json_option
@click.pass_obj
@until_ctrl_c
def seal(get_host: GetHost, /, every: float | None, as_json: bool) -> None:
    """Seal what is not sealed yet, and push the seals out, with those that a receiver has missed.

    Examples:

      authhost audit seal

      authhost audit seal --every 10
    """
    from authhost_audit.checkpoints import checkpoint_of, seal_and_push

    host = get_host()
    settings = _settings(host)
    looked: datetime | None = None
    while True:
        looked = _warn_about_clocks(host, looked)
        for batch, failed in seal_and_push(host, settings):
            if as_json:
                click.echo(json.dumps({**checkpoint_of(batch), "not_pushed_to": failed}))
            else:
                missed = f", not pushed to {' and '.join(failed)}" if failed else ""
                click.echo(f"batch {batch['number']}: {batch['size']} records{missed}")
        if every is None:
            return
        NEVER.wait(every)


def _warn_about_clocks(host: Host, looked: datetime | None) -> datetime:
    """Say what is wrong with the sealers' clocks, once an hour; return when it was looked at last."""
    from authhost_audit.sealing import clock_warnings

    if looked is not None and looked <= host.now < looked + LOOK_EVERY:
        return looked
    for each in clock_warnings(host):
        click.echo(f"warning: {each}", err=True)
    return host.now


@audit.command()
@click.option(
    "--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Checkpoints kept elsewhere."
)
@click.option("--all", "everything", is_flag=True, help="Name all that is wrong, not only the first.")
@json_option
@click.pass_obj
def verify(get_host: GetHost, /, checkpoint: Path | None, everything: bool, as_json: bool) -> None:
    """Look for records that were changed, removed, inserted or reordered. Exits 1 if there is one.

    Exits 1 also if nothing is sealed. Says how many records are not sealed yet.

    Example: authhost audit verify --checkpoint /mnt/other/checkpoints.jsonl
    """
    from authhost_audit.sealing import stamp
    from authhost_audit.verifying import Break, Note, total, unsealed, verify

    host = get_host()
    settings = _settings(host)
    if checkpoint is not None and not checkpoint.exists():
        raise click.ClickException(f"there is no file {checkpoint}")
    path = checkpoint or (Path(settings.checkpoint_file) if settings.checkpoint_file else None)
    breaks: list[Break] = []
    notes: list[Note] = []
    looked = 0
    with click.progressbar(length=total(host), label="records", file=sys.stderr) as bar:
        for found in verify(host, settings, path):
            if isinstance(found, Break):
                breaks.append(found)
                if not everything:
                    break
            elif isinstance(found, Note):
                notes.append(found)
            else:
                looked += found
                bar.update(found)
    count, since = unsealed(host)
    left = {"unsealed": count, "unsealed_since": since.isoformat() if since else None}
    for note in notes[:SHOWN]:
        click.echo(f"note: {note.why}", err=True)
    if len(notes) > SHOWN:
        click.echo(f"note: {len(notes) - SHOWN} more like these; --json shows all", err=True)
    for each in breaks:
        where = f"batch {each.batch}" if each.batch is not None else "the trail"
        record = f", record {each.record}" if each.record else ""
        line = {
            "what": each.what,
            "batch": each.batch,
            "record": str(each.record) if each.record else None,
            "why": each.why,
            "intact": False,
            **left,
        }
        click.echo(json.dumps(line) if as_json else f"{each.what}: {where}{record}: {each.why}")
    if as_json and not breaks:
        click.echo(json.dumps({"records": looked, "intact": True, **left, "notes": [n.why for n in notes]}))
    elif not as_json:
        if not breaks:
            click.echo(f"{looked:,} sealed records are as they were sealed")
        if count and total(host):
            click.echo(
                f"{count:,} records are not sealed yet, the oldest of {stamp(since)}: until "
                "`authhost audit seal` takes them, the database alone protects them"
            )
    if breaks:
        sys.exit(1)


@audit.command()
@click.argument("event_id", callback=_uuid)
@click.pass_obj
def proof(get_host: GetHost, /, event_id: UUID) -> None:
    """Print a proof, for somebody else, that a record is in a seal.

    Example: authhost audit proof 01a2b3c4-… > proof.json
    """
    from authhost_audit.proving import proof

    host = get_host()
    click.echo(json.dumps(proof(host, _settings(host), event_id), indent=2))


# Forwarding and keeping.


@audit.command()
@click.option("--every", type=click.FloatRange(min=1), help="Go on, every so many seconds, until Ctrl-C.")
@click.pass_obj
@until_ctrl_c
def forward(get_host: GetHost, /, every: float | None) -> None:
    """Seal, then send what was not sent to syslog and the webhook.

    Example: authhost audit forward --every 5
    """
    from authhost_audit import forwarding
    from authhost_audit.checkpoints import seal_and_push

    host = get_host()
    settings = _settings(host)
    receivers = forwarding.sinks(settings)
    if not receivers:
        raise click.ClickException("nobody is to receive it; set syslog or webhook under [plugins.audit]")
    tries = {each.name: forwarding.waits() for each in receivers}
    looked: datetime | None = None
    while True:
        looked = _warn_about_clocks(host, looked)
        for _ in seal_and_push(host, settings):
            pass
        wait, refused = every or 0.0, False
        for sink in receivers:
            try:
                sent = sum(forwarding.forward(host, settings, sink))
                tries[sink.name] = forwarding.waits()
                click.echo(f"{sink.name}: {sent} records")
            except forwarding.Refused as error:
                refused = True
                wait = max(wait, next(tries[sink.name]))
                left = forwarding.lag(host, sink)
                click.echo(f"{sink.name}: refused ({error}); {left} records wait", err=True)
        if every is None:
            sys.exit(1 if refused else 0)
        NEVER.wait(wait)


@audit.command()
@click.pass_obj
def prune(get_host: GetHost, /) -> None:
    """Delete sealed records that are older than keep_days and keep_security_days.

    Example: authhost audit prune
    """
    host = get_host()
    click.echo(f"{sum(keeping.prune(host, _settings(host))):,} records were deleted; their seals stay")


@audit.command()
@click.argument("user_id", callback=_uuid)
@click.option(
    "--address", "addresses", multiple=True, help="Also attempts that name this address, or this username."
)
@click.confirmation_option(prompt="Erase the personal part of all records of this user?")
@click.pass_obj
def forget(get_host: GetHost, /, user_id: UUID, addresses: tuple[str, ...]) -> None:
    """Erase where from and with which addresses a user acted. The seals stay valid.

    Do it once the account is closed: what it does later is recorded anew.

    Example: authhost audit forget 01a2b3c4-… --address ann@example.org --yes
    """
    host = get_host()
    count = keeping.forget(host, _settings(host), user_id, *addresses)
    click.echo(f"{count:,} records have no personal part any more")
