"""What the commands share: their arguments, the operator, and how results name an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import printable

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.records import User

actor_option = click.option("--actor", metavar="NAME", help="Who acts, for the records; by default you.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
user_argument = click.argument("user")


def exists(host: AuthHost, name: str) -> bool:
    """Return whether there is such an account; raises the other refusals."""
    from authhost.errors import UserNotFound

    try:
        host.users.get(name)
    except UserNotFound:
        return False
    return True


def name_of(user: User) -> str:
    """Return how messages name an account."""
    return f"{printable(user.email or user.username or 'the account')} ({user.id})"


def report(lazy_host: LazyHost, text: str, result: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, as a sentence or as one JSON object."""
    if as_json:
        lazy_host.console.print_rows([result], as_json=True)
    else:
        lazy_host.console.print(text)
