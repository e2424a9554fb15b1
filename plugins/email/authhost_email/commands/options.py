"""Options, arguments and results that several commands share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

import click
from authhost_hookspecs import CommandContext, Console, Host

from authhost_email.addresses import comparison_key, is_bare_address
from authhost_email.languages import LANGUAGES
from authhost_email.rendering import KINDS
from authhost_email.settings import EmailSettings

HEX_DIGITS = 32
MIN_PREFIX = 4
SHOWN_MATCHES = 5

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
language_option = click.option(
    "--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of the message."
)


@runtime_checkable
class OpensWithoutDatabase(Protocol):
    """A command context that opens a host although there is no database or no secret key.

    The contract does not have this method, so a context may lack it.
    """

    def plugins_only(self) -> Host:
        """Return the host. Its settings and plugins can be used."""


def host_without_database(context: CommandContext) -> Host:
    """Return a host whose database may be missing, or the usual host if the context has no such host."""
    return context.plugins_only() if isinstance(context, OpensWithoutDatabase) else context()


def settings_of(host: Host) -> EmailSettings:
    """Return the plugin's settings."""
    settings: EmailSettings = host.plugin_settings("email")
    return settings


def print_result(console: Console, row: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """Print what a command did: a JSON line for programs, or a sentence for people."""
    if as_json:
        console.print_rows([row], as_json=True)
    else:
        console.print(sentence)


def message_callback(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Convert an argument to the hexadecimal digits that the identifier of a message begins with."""
    digits = value.lower().replace("-", "")
    if not re.fullmatch(f"[0-9a-f]{{{MIN_PREFIX},{HEX_DIGITS}}}", digits):
        raise click.BadParameter(
            f"{value!r} is neither the identifier of a message nor its first {MIN_PREFIX} or more digits; "
            "`authhost email outbox` lists them"
        )
    return digits


def find_message(host: Host, digits: str) -> UUID:
    """Return the identifier of the only message that begins with these hexadecimal digits.

    A complete identifier is returned as it is. Raises `click.ClickException` if no message
    or several begin so.
    """
    from sqlalchemy import select

    from authhost_email.tables import outbox_table

    if len(digits) == HEX_DIGITS:
        return UUID(digits)
    table, first, last = outbox_table.c.id, *_bounds(digits)
    here = select(table).where(table.between(first, last)).order_by(table).limit(SHOWN_MATCHES + 1)
    with host.reader.connect() as connection:
        found: list[UUID] = list(connection.execute(here).scalars())
    if not found:
        raise click.ClickException(
            f"there is no message whose identifier begins with {digits}; see `authhost email outbox`"
        )
    if len(found) > 1:
        shown = ", ".join(map(str, found[:SHOWN_MATCHES]))
        more = " and others" if len(found) > SHOWN_MATCHES else ""
        raise click.ClickException(
            f"{digits} is ambiguous, give more digits; it begins the identifiers {shown}{more}"
        )
    return found[0]


def _bounds(digits: str) -> tuple[UUID, UUID]:
    """Return the lowest and the highest UUID of version 7 (RFC 9562) that begin with these digits.

    MariaDB orders UUIDs of other versions by other digits.
    """
    lowest, highest = "00000000000070008000000000000000", "ffffffffffff7fffbfffffffffffffff"
    return UUID(digits + lowest[len(digits) :]), UUID(digits + highest[len(digits) :])


def kind_callback(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Accept only the kind of a message, and suggest the most similar one."""
    if value is None or value in KINDS:
        return value
    near = get_close_matches(value, KINDS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise click.BadParameter(f"there is no message {value!r}{hint} The messages are {', '.join(KINDS)}.")


def complete_kind(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the kinds of messages that begin so, for the completion of the shell."""
    return [each for each in KINDS if each.startswith(incomplete)]


def address_key_callback(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Convert an argument to the form in which addresses are compared."""
    try:
        return comparison_key(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an e-mail address") from None


def bare_address_callback(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Accept only an address without a name."""
    if value is not None and not is_bare_address(value):
        raise click.BadParameter(f"{value!r} is not an e-mail address, such as ann@example.org")
    return value
