"""``authhost email suppress``, ``allow`` and ``suppressed``: addresses that get no messages."""

from __future__ import annotations

import click
from authhost_hookspecs import CommandContext
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_email.commands.options import address_key_callback, json_option
from authhost_email.tables import suppression_table

HEADERS = {"recipient": "address", "reason": "reason", "created_at": "since"}


@click.command()
@click.argument("address", callback=address_key_callback)
@click.option("--reason", default="by hand", show_default=True)
@click.pass_obj
def suppress(context: CommandContext, /, address: str, reason: str) -> None:
    """Stop sending to an address, such as one whose messages bounce.

    Example: authhost email suppress ann@example.org --reason bounced
    """
    host = context()
    row = {"recipient": address, "reason": reason[:255], "created_at": host.now}
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(suppression_table).values(row))
    except IntegrityError:
        raise click.ClickException(f"{address} is already suppressed") from None
    context.console.print(f"nothing will be sent to {address}")


@click.command()
@click.argument("address", callback=address_key_callback)
@click.pass_obj
def allow(context: CommandContext, /, address: str) -> None:
    """Send to a suppressed address again.

    Example: authhost email allow ann@example.org
    """
    here = suppression_table.c.recipient == address
    with context().engine.begin() as connection:
        if not connection.execute(delete(suppression_table).where(here)).rowcount:
            raise click.ClickException(f"{address} is not suppressed; see `authhost email suppressed`")
    context.console.print(f"{address} is not suppressed any more")


@click.command()
@json_option
@click.pass_obj
def suppressed(context: CommandContext, /, as_json: bool) -> None:
    """List the suppressed addresses.

    Example: authhost email suppressed --json
    """
    with context().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(select(suppression_table))]
    context.console.print_rows(rows, headers=HEADERS, as_json=as_json, empty="no address is suppressed")
