"""``authhost managed``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import click
from authhost_hookspecs import AccountChanges, CommandContext, FlowError, Host

from authhost_managed_accounts.plugin import NAME, ManagedSettings


@contextmanager
def changes_of(host: Host, address: str) -> Iterator[tuple[AccountChanges, UUID]]:
    """Yield the changes of a managed account. Everything in the block is one transaction."""
    settings: ManagedSettings = host.plugin_settings(NAME)
    try:
        with host.request() as request:
            user = request.user_by_email(address)
            if user is None or not settings.manages(user):
                raise click.ClickException(f"{address} is not the primary address of a managed account")
            yield request.accounts, user.id
    except FlowError as error:
        raise click.ClickException(f"{error} ({error.code})") from error


@click.group()
def managed() -> None:
    """Deactivate, reactivate and delete managed accounts."""


@managed.command()
@click.argument("address")
@click.pass_obj
def deactivate(context: CommandContext, /, address: str) -> None:
    """Deactivate an account: nobody can log in to it.

    Example: authhost managed deactivate ann@example.org
    """
    with changes_of(context(), address) as (accounts, user_id):
        accounts.deactivate(user_id)
    context.console.print(f"{address} is deactivated")


@managed.command()
@click.argument("address")
@click.pass_obj
def reactivate(context: CommandContext, /, address: str) -> None:
    """Make a deactivated account active again.

    Example: authhost managed reactivate ann@example.org
    """
    with changes_of(context(), address) as (accounts, user_id):
        accounts.reactivate(user_id)
    context.console.print(f"{address} is active")


@managed.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(context: CommandContext, /, address: str, yes: bool) -> None:
    """Delete an account.

    Example: authhost managed delete ann@example.org --yes
    """
    context.console.confirm(f"Delete the account {address} with all its data?", yes=yes)
    with changes_of(context(), address) as (accounts, user_id):
        accounts.delete(user_id)
    context.console.print(f"{address} is deleted")
