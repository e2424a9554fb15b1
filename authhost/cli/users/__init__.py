"""``authhost users``: what operators do with accounts."""

from __future__ import annotations

import click

from authhost.cli.users import changes, reading


@click.group("users")
def users() -> None:
    """Find, create, change, export and delete accounts.

    USER is an identifier, the beginning of one, an address or a username.
    """


for _command in (*reading.COMMANDS, *changes.COMMANDS):
    users.add_command(_command)
