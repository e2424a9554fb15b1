"""What the commands share: the account that an argument names, the operator, and refusals."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import printable

if TYPE_CHECKING:
    from authhost_hookspecs import Actor

    from authhost.host import AuthHost
    from authhost.records import User

actor_option = click.option("--actor", metavar="NAME", help="Who acts, for the records; by default you.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
user_argument = click.argument("user")


def operator(name: str | None) -> Actor:
    """Return who acts: the given name, or that of the operating system's user."""
    from authhost_hookspecs import Actor

    if name is None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container may run with a number that has no name
            name = "operator"
    try:
        return Actor("operator", name=name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--actor") from None


@contextmanager
def refusals() -> Iterator[None]:
    """Print a refusal with its code, and exit with 1."""
    from authhost.errors import AuthError

    try:
        yield
    except AuthError as error:
        field = f", field {error.fields['field']}" if "field" in error.fields else ""
        raise click.ClickException(f"{error} ({error.code}{field})") from None


def exists(host: AuthHost, name: str) -> bool:
    """Return whether there is such an account; raises other refusals."""
    from authhost.errors import UserNotFound

    try:
        host.users.get(name)
    except UserNotFound:
        return False
    return True


def find_user(host: AuthHost, name: str) -> User:
    """Return the account that ``name`` means; a refusal lists the candidates, or names that are like it."""
    from authhost.errors import AmbiguousUser, UserNotFound

    with refusals():
        try:
            return host.users.get(name)
        except AmbiguousUser as error:
            listed = "\n  ".join(error.fields["candidates"])
            raise click.ClickException(f"several identifiers begin with {name}:\n  {listed}") from None
        except UserNotFound:
            hint = f" Did you mean {near}?" if (near := _near(host, name)) else ""
            raise click.ClickException(
                f"there is no account {printable(name)}.{hint} `authhost users find` searches by beginnings."
            ) from None


def _near(host: AuthHost, name: str) -> str | None:
    """Return the address or username that is most like ``name``, among those that begin alike."""
    from authhost.errors import InvalidInput

    names: list[str] = []
    for length in (5, 3):
        try:
            found = host.users.find(name[:length], limit=200)
        except InvalidInput:
            return None
        names += [each for user in found for each in (user.email, user.username) if each]
    return next(iter(get_close_matches(name, names, 1, cutoff=0.7)), None)


def name_of(user: User) -> str:
    """Return how messages name an account."""
    return f"{printable(user.email or user.username or 'the account')} ({user.id})"


def report(lazy_host: LazyHost, text: str, result: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, as a sentence or as one JSON object."""
    if as_json:
        lazy_host.console.print_rows([result], as_json=True)
    else:
        lazy_host.console.print(text)
