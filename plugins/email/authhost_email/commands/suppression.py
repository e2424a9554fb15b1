"""``authhost email suppress``, ``allow`` and ``suppressed``: addresses that get no messages."""

from __future__ import annotations

import click
from authhost_hookspecs import CommandContext

from authhost_email.commands.options import address_key_callback, json_option, print_result

HEADERS = {"recipient": "address", "reason": "reason", "created_at": "since"}


@click.command()
@click.argument("address", callback=address_key_callback)
@click.option("--reason", default="by hand", show_default=True, help="Why, for `authhost email suppressed`.")
@json_option
@click.pass_obj
def suppress(context: CommandContext, /, address: str, reason: str, as_json: bool) -> None:
    """Stop sending to an address, such as one whose messages bounce.

    A second call changes nothing: the first reason stays.

    Example: authhost email suppress ann@example.org --reason bounced
    """
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    from authhost_email.tables import suppression_table

    host, changed = context(), True
    row = {"recipient": address, "reason": reason[:255], "created_at": host.now}
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(suppression_table).values(row))
    except IntegrityError:
        changed = False
    sentence = f"nothing will be sent to {address}" if changed else f"{address} was already suppressed"
    result = {"address": address, "suppressed": True, "changed": changed}
    print_result(context.console, result, sentence, as_json=as_json)


@click.command()
@click.argument("address", callback=address_key_callback)
@json_option
@click.pass_obj
def allow(context: CommandContext, /, address: str, as_json: bool) -> None:
    """Send to a suppressed address again.

    Example: authhost email allow ann@example.org
    """
    from sqlalchemy import delete

    from authhost_email.tables import suppression_table

    here = suppression_table.c.recipient == address
    with context().engine.begin() as connection:
        changed = bool(connection.execute(delete(suppression_table).where(here)).rowcount)
    sentence = f"{address} is not suppressed any more" if changed else f"{address} was not suppressed"
    result = {"address": address, "suppressed": False, "changed": changed}
    print_result(context.console, result, sentence, as_json=as_json)


@click.command()
@json_option
@click.pass_obj
def suppressed(context: CommandContext, /, as_json: bool) -> None:
    """List the suppressed addresses.

    Example: authhost email suppressed --json
    """
    from sqlalchemy import select

    from authhost_email.tables import suppression_table

    with context().engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(select(suppression_table))]
    context.console.print_rows(rows, headers=HEADERS, as_json=as_json, empty="no address is suppressed")
