"""Options and arguments that several commands share."""

from __future__ import annotations

from uuid import UUID

import click
from authhost_hookspecs import Host

from authhost_email.addresses import comparison_key, is_bare_address
from authhost_email.languages import LANGUAGES
from authhost_email.settings import EmailSettings

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
language_option = click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)


def settings_of(host: Host) -> EmailSettings:
    """Return the plugin's settings."""
    settings: EmailSettings = host.plugin_settings("email")
    return settings


def uuid_callback(context: click.Context, parameter: click.Parameter, value: str) -> UUID:
    """Convert an argument to the identifier of a message."""
    try:
        return UUID(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not the identifier of a message; `authhost email outbox` lists them"
        ) from None


def address_key_callback(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Convert an argument to the form in which addresses are compared."""
    try:
        return comparison_key(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an e-mail address") from None


def bare_address_callback(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Accept only an address without a name."""
    if not is_bare_address(value):
        raise click.BadParameter(f"{value!r} is not an e-mail address, such as ann@example.org")
    return value
