"""The account that an argument of a command names, who acts, and how a command ends with a refusal."""

from __future__ import annotations

import getpass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from authhost.operations.console import printable

if TYPE_CHECKING:
    from authhost_hookspecs import Actor, FlowError, Refused

    from authhost.host import AuthHost
    from authhost.records import User


def refusal(error: FlowError | Refused) -> click.ClickException:
    """Return the error of a command that was refused: the text and the code. It exits with 1."""
    fields = getattr(error, "fields", {})
    named = [f", {name} {fields[name]}" for name in ("field", "plugin") if name in fields]
    return click.ClickException(printable(f"{error} ({error.code}{''.join(named)})"))


def find_user(host: AuthHost, name: str) -> User:
    """Return the account with this identifier, address or username, or whose identifier begins so.

    Raises `click.ClickException`, which lists the candidates or a name that is like it.
    """
    from authhost.errors import AmbiguousUser, AuthError, UserNotFound

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
    except AuthError as error:
        raise refusal(error) from None


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


def operator(name: str | None) -> Actor:
    """Return who acts: the given name, or that of the operating system's user.

    Raises `click.BadParameter` if there can be no such name.
    """
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
