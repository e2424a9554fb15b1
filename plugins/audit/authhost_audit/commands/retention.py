"""``authhost audit prune`` and ``forget``."""

from __future__ import annotations

import click
from authhost_hookspecs import CommandContext

from authhost_audit.commands.options import find_user, json_option, settings_of


@click.command()
@json_option
@click.pass_obj
def prune(context: CommandContext, /, as_json: bool) -> None:
    """Delete sealed records that are older than keep_days or keep_security_days.

    Example: authhost audit prune
    """
    from authhost_audit import retention

    host = context()
    with context.console.progress(None, "records") as bar:
        count = 0
        for deleted in retention.prune(host, settings_of(host)):
            count += deleted
            bar.advance(deleted)
    if as_json:
        context.console.print_rows([{"deleted": count}], as_json=True)
    else:
        context.console.print(f"{count:,} records were deleted; the batches they were in stay valid")


@click.command()
@click.argument("user")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="Also erase attempts in which this address or username was typed. Can be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@click.pass_obj
def forget(
    context: CommandContext, /, user: str, addresses: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Erase the personal fields of a user's records: IP address, user agent, e-mail addresses.

    USER is an identifier, its beginning, or as long as the account exists an address or a username.

    The batches stay valid. Run it after the account is closed, because later
    records contain personal fields again.

    Example: authhost audit forget 01a2b3c4-… --address ann@example.org --yes
    """
    from authhost_audit import retention

    host = context()
    user_id = find_user(context, user)
    context.console.confirm(f"Erase the personal fields of all records of the user {user_id}?", yes=yes)
    count = retention.erase_user(host, settings_of(host), user_id, *addresses)
    if as_json:
        context.console.print_rows([{"user_id": str(user_id), "erased": count}], as_json=True)
    else:
        context.console.print(f"the personal fields of {count:,} records were erased")
