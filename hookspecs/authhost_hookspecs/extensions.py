"""Extension points: what a plugin may bring or decide. They are no signals."""

# Specs have no bodies: what they return is said by their annotations.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.declarations import Message, PluginTables
from authhost_hookspecs.protocols import Host, Request, User
from authhost_hookspecs.providers import Provider


@hookspec
def host_started(host: Host) -> None:
    """A host is ready. Two may live in one process: keep state per host."""


@hookspec
def host_stopping(host: Host) -> None:
    """A host closes; stop threads and flush what is held."""


@hookspec(firstresult=True)
def deliver_message(request: Request, message: Message) -> bool | None:
    """Take ``message`` for delivery once this unit commits; return True when taken.

    The first plugin that answers has it. A failure ends the flow, since a
    person would wait for a mail that never comes.
    """


@hookspec
def before_signup(request: Request, email: str | None) -> None:
    """A signup is about to be stored; raise `Refused` to stop it.

    Called for a free and for a taken address alike. Any other exception
    refuses, too.
    """


@hookspec
def before_login(request: Request, user: User) -> None:
    """A user proved who they are and is about to be logged in; raise `Refused` to stop it.

    Any other exception refuses, too.
    """


@hookspec
def account_ready(request: Request, user: User) -> None:
    """Once in a user's life: signup is complete, with all verification the settings ask for."""


@hookspec
def social_login_begun(request: Request, provider: str, process: str) -> None:
    """A person is sent to a provider; whether they come back is seen at `pre_social_login`.

    ``process`` is ``login``, ``connect`` or ``redirect``.
    """


@hookspec
def flow_refused(request: Request, flow: str, error: Exception, user: User | None) -> None:
    """A flow ended in a refusal; its writes are undone, what is written here is kept.

    ``error`` has a stable ``code``; ``user`` is None where unknown.
    """


@hookspec
def register_providers() -> list[Provider]:
    """Return declarations of the providers of social login that the plugin brings.

    One whose id is built in takes its place.
    """


@hookspec
def register_commands() -> list[Any]:
    """Return `click.Command` objects for the ``authhost`` command line.

    ``ctx.obj`` is a callable that returns the `Host`, opened on first use.
    """


@hookspec
def register_tables() -> PluginTables:
    """Return the plugin's own tables and their migrations."""


@hookspec
def register_settings() -> type[Any]:
    """Return a frozen dataclass whose fields, all with defaults, an operator may set.

    Field types: ``str``, ``int``, ``float``, ``bool``, or one of these ``| None``.
    """
