"""Options and arguments that several commands share."""

from __future__ import annotations

import difflib
import ipaddress
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from authhost_hookspecs import CommandContext, Host, parse_time

from authhost_audit.settings import AuditSettings
from authhost_audit.vocabulary import EVENTS, REASONS

if TYPE_CHECKING:
    from authhost_audit.search import Query, Record

MAX_SUGGESTED = 5
"""Identifiers that a message lists if a part fits several."""
TIMER = threading.Event()
"""Never set: waiting for it with a time-out is a sleep that Ctrl-C interrupts."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
every_option = click.option(
    "--every", type=click.FloatRange(min=1), help="Repeat after this number of seconds, until Ctrl-C."
)


def until_ctrl_c(command: Callable[..., None]) -> Callable[..., None]:
    """Make Ctrl-C end a command that repeats or follows normally, with exit code 0."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        repeats = options.get("every") is not None or options.get("follow")
        with suppress(KeyboardInterrupt) if repeats else nullcontext():
            command(*arguments, **options)

    return run


def settings_of(host: Host) -> AuditSettings:
    """Return the plugin's settings."""
    settings: AuditSettings = host.plugin_settings("audit")
    return settings


def uuid_callback(context: click.Context, parameter: click.Parameter, value: str | None) -> UUID | None:
    """Convert an option or argument to a UUID."""
    try:
        return UUID(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an identifier, such as 01a2b3c4-…") from None


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select records. `query_of` converts them to a `Query`."""
    for option in (
        click.option("--until", metavar="TIME", callback=_time_callback, help="Before this time."),
        click.option(
            "--since",
            metavar="TIME",
            callback=_time_callback,
            help="At or after this time: a date, a time, or a duration before now such as 7d.",
        ),
        click.option("--request", "request_id", callback=uuid_callback, help="Of this unit of work."),
        click.option("--provider", help="Of this provider."),
        click.option("--ip", "ip_address", callback=_ip_callback, help="From this IP address."),
        click.option(
            "--reason",
            shell_complete=lambda context, parameter, incomplete: _beginning(incomplete, REASONS),
            help="With this reason, such as invalid_credentials.",
        ),
        click.option("--outcome", type=click.Choice(["success", "refused", "failed"])),
        click.option(
            "--event",
            callback=_event_callback,
            shell_complete=lambda context, parameter, incomplete: _beginning(incomplete, EVENTS),
            help="Of this event, such as user_logged_in.",
        ),
        click.option("--address", help="Attempts in which this address or username was typed."),
        click.option("--user-agent", help="From a user agent that contains this text."),
        click.option("--actor", help="By this user: an identifier, its beginning, an address or a username."),
        click.option(
            "--user", help="By or about this user: an identifier, its beginning, an address or a username."
        ),
    ):
        command = option(command)
    return command


def query_of(context: CommandContext, options: dict[str, Any]) -> Query:
    """Convert the options of `filters` to a query.

    Raises `click.BadParameter` if no record can match them, and the errors of `find_user`.
    """
    from authhost_audit.search import Query, reason_exists

    host = context()
    user, actor = options.pop("user"), options.pop("actor")
    address, reason = options.pop("address"), options["reason"]
    since, until = options["since"], options["until"]
    if since is not None and until is not None and since >= until:
        raise click.BadParameter("--since must be before --until")
    if reason is not None and reason not in REASONS and not reason_exists(host, reason):
        missing = f"no record has the reason {reason!r} (refusals by plugins have the reason vetoed)"
        raise click.BadParameter(missing + _suggestion(reason, REASONS))
    return Query(
        **options,
        user_id=find_user(context, user) if user is not None else None,
        actor_id=find_user(context, actor) if actor is not None else None,
        identifiers=host.identifier_digests(address) if address is not None else None,
    )


def _time_callback(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return parse_time(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _event_callback(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in EVENTS:
        raise click.BadParameter(f"there is no event {value!r}{_suggestion(value, EVENTS)}")
    return value


def _ip_callback(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        address = ipaddress.ip_address(value)
        return str(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not an IP address, such as 203.0.113.7 or 2001:db8::7"
        ) from None


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(each for each in names if each.startswith(incomplete))


def _suggestion(value: str, names: Iterable[str]) -> str:
    similar = difflib.get_close_matches(value, names, n=1)
    return f"; did you mean {similar[0]}?" if similar else f"; use one of: {', '.join(sorted(names))}"


def find_record(host: Host, value: str) -> Record:
    """Return the record whose identifier is or begins with ``value``.

    Raises `click.BadParameter` if there is none, or if there are several.
    """
    from authhost_audit.search import find_records

    digits = value.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{4,32}", digits):
        raise click.BadParameter(
            f"{value!r} is not an identifier, such as 01a2b3c4-…, or at least four hexadecimal digits "
            "from its beginning"
        )
    found = find_records(host, digits, MAX_SUGGESTED)
    if not found:
        raise click.BadParameter(f"no record has an identifier that begins with {value}")
    if len(found) > 1:
        raise click.BadParameter(
            f"the identifiers of several records begin with {value}: "
            f"{', '.join(each['id'] for each in found)}"
        )
    return found[0]


def find_user(context: CommandContext, name: str) -> UUID:
    """Return the user with this identifier, address or username, or whose identifier begins or ends so.

    Records of deleted accounts remain, so an identifier need not belong to an account. Raises
    `click.ClickException` if nobody is found, or several users.
    """
    from authhost_audit.search import find_users

    with suppress(ValueError):
        return UUID(name)
    host, digits = context(), name.replace("-", "").lower()
    is_part = re.fullmatch("[0-9a-f]{4,31}", digits) is not None
    try:
        account = context.find_user(name).id
        if not is_part or not account.hex.startswith(digits):
            return account
        found, refusal = {account}, None
    except click.ClickException as error:
        hint = " A deleted account is found by its identifier."
        found, refusal = set(), click.ClickException(f"{error.message}{hint}")
    if is_part:
        found.update(find_users(host, digits, MAX_SUGGESTED))
    if len(found) > 1:
        listed = "\n  ".join(map(str, sorted(found)))
        raise click.ClickException(f"several identifiers begin or end with {name}:\n  {listed}")
    if refusal is not None and not any(_is_certain(host, each, digits) for each in found):
        raise refusal
    return found.pop()


def _is_certain(host: Host, user_id: UUID, digits: str) -> bool:
    """Return whether only this user can be meant, although `CommandContext.find_user` has refused.

    If it is an account that begins so, several accounts do, of which one has records.
    """
    return not user_id.hex.startswith(digits) or host.account(user_id) is None
