"""``authhost email suppress``, ``allow`` and ``suppressed``: addresses that get no messages."""

from __future__ import annotations

import click
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_email.commands.options import GetHost, address_key_callback
from authhost_email.console import json_option, print_rows
from authhost_email.tables import suppression_table

HEADERS = {"recipient": "address", "reason": "reason", "created_at": "since"}


@click.command()
@click.argument("address", callback=address_key_callback)
@click.option("--reason", default="by hand", show_default=True)
@click.pass_obj
def suppress(get_host: GetHost, /, address: str, reason: str) -> None:
    """Stop sending to an address, such as one whose messages bounce.

    Example: authhost email suppress ann@example.org --reason bounced
    """
    host = get_host()
    row = {"recipient": address, "reason": reason[:255], "created_at": host.now}
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(suppression_table).values(row))
    except IntegrityError:
        raise click.ClickException(f"{address} is already suppressed") from None
    click.echo(f"nothing will be sent to {address}")


@click.command()
@click.argument("address", callback=address_key_callback)
@click.pass_obj
def allow(get_host: GetHost, /, address: str) -> None:
    """Send to a suppressed address again.

    Example: authhost email allow ann@example.org
    """
    here = suppression_table.c.recipient == address
    with get_host().engine.begin() as connection:
        if not connection.execute(delete(suppression_table).where(here)).rowcount:
            raise click.ClickException(f"{address} is not suppressed; see `authhost email suppressed`")
    click.echo(f"{address} is not suppressed any more")


@click.command()
@json_option
@click.pass_obj
def suppressed(get_host: GetHost, /, as_json: bool) -> None:
    """List the suppressed addresses.

    Example: authhost email suppressed --json
    """
    with get_host().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(select(suppression_table))]
    print_rows(rows, HEADERS, as_json, empty="no address is suppressed")
