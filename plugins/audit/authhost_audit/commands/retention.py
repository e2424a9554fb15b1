"""``authhost audit prune`` and ``forget``."""

from __future__ import annotations

from uuid import UUID

import click

from authhost_audit import retention
from authhost_audit.commands.options import GetHost, settings_of, uuid_callback


@click.command()
@click.pass_obj
def prune(get_host: GetHost, /) -> None:
    """Delete sealed records that are older than keep_days or keep_security_days.

    Example: authhost audit prune
    """
    host = get_host()
    count = sum(retention.prune(host, settings_of(host)))
    click.echo(f"{count:,} records were deleted; the batches they were in stay valid")


@click.command()
@click.argument("user_id", callback=uuid_callback)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="Also erase attempts in which this address or username was typed. Can be repeated.",
)
@click.confirmation_option(prompt="Erase the personal fields of all records of this user?")
@click.pass_obj
def forget(get_host: GetHost, /, user_id: UUID, addresses: tuple[str, ...]) -> None:
    """Erase the personal fields of a user's records: IP address, user agent, e-mail addresses.

    The batches stay valid. Run it after the account is closed, because later
    records contain personal fields again.

    Example: authhost audit forget 01a2b3c4-… --address ann@example.org --yes
    """
    host = get_host()
    count = retention.erase_user(host, settings_of(host), user_id, *addresses)
    click.echo(f"the personal fields of {count:,} records were erased")
