"""Extension points: what a plugin may provide or decide. They are not signals of django-allauth."""

# Specifications have no bodies; their annotations say what implementations return.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.declarations import Finding, Message, PluginTables
from authhost_hookspecs.protocols import Host, Request, Session, User
from authhost_hookspecs.providers import Provider


@hookspec
def host_started(host: Host) -> None:
    """A host is ready: its settings are valid and its database is up to date.

    One process can have two hosts, so keep state per host. A request has no
    reference to its host; ``plugin_settings`` of both return the same object.

    Start background work only here. A host that was opened with
    ``background=False``, like in the commands of ``authhost``, calls neither this
    hook nor `host_stopping`.

    .. versionadded:: 1.0

    Example::

        import logging

        from authhost_hookspecs import Host, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events

        log = logging.getLogger(__name__)


        class Greeting:
            @hookimpl
            def host_started(self, host: Host) -> None:
                with host.reader.connect() as connection:
                    count = connection.execute(select(func.count()).select_from(events)).scalar_one()
                log.info("%s has %d events", host.settings.site_name, count)
    """


@hookspec
def host_stopping(host: Host) -> None:
    """A host closes: stop threads, and deliver what is still in memory.

    The database is still available.

    .. versionadded:: 1.0

    Example::

        from concurrent.futures import ThreadPoolExecutor

        from authhost_hookspecs import Host, hookimpl


        class Threads:
            def __init__(self) -> None:
                self.of: dict[Host, ThreadPoolExecutor] = {}

            @hookimpl
            def host_started(self, host: Host) -> None:
                self.of[host] = ThreadPoolExecutor(max_workers=2)

            @hookimpl
            def host_stopping(self, host: Host) -> None:
                self.of.pop(host).shutdown()
    """


@hookspec(firstresult=True)
def deliver_message(request: Request, message: Message) -> bool | None:
    """A message has to be delivered: accept ``message`` and return True, or return None.

    The first plugin that returns True delivers it; later ones are not called.
    Deliver it after this unit of work has committed: by `Request.on_commit`, or by a
    row that a worker delivers later. If rows that are inserted here cannot be stored,
    the flow fails.

    ``message`` contains the key and the link, which are secrets: do not write them to
    logs, and only encrypted to tables.

    Stored: a digest of the key.

    .. versionadded:: 1.0

    Example::

        from functools import partial
        from queue import SimpleQueue

        from authhost_hookspecs import Message, Request, hookimpl


        class Texts:
            def __init__(self) -> None:
                self.to_send: SimpleQueue[Message] = SimpleQueue()

            @hookimpl
            def deliver_message(self, request: Request, message: Message) -> bool:
                request.on_commit(partial(self.to_send.put, message))
                return True
    """


@hookspec
def before_signup(request: Request, email: str | None) -> None:
    """A signup is about to be stored; raise `Refused` to stop it.

    The hook is called for free and for taken addresses, so that a refusal does not
    reveal which one it is. ``email`` is None if the person comes from a provider that
    returns no address.

    Stored: nothing of the signup.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Refused, hookimpl


        class NoThrowAways:
            @hookimpl
            def before_signup(self, email: str | None) -> None:
                if email is not None and email.endswith("@throw-away.example"):
                    raise Refused("throw_away_address", "Please enter a permanent address.")
    """


@hookspec
def before_login(request: Request, user: User) -> None:
    """A user has authenticated and is about to be logged in; raise `Refused` to stop it.

    The hook is also called for the login at the end of a signup, a confirmation or a
    reset. A refusal then rolls back that whole flow.

    Stored: nothing of the login; the earlier writes of a flow that ends with a login.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Refused, Request, User, hookimpl
        from sqlalchemy import select

        from authhost_doorbell.tables import events


        class Suspensions:
            @hookimpl
            def before_login(self, request: Request, user: User) -> None:
                suspended = (events.c.user_id == user.id) & (events.c.what == "suspended")
                if request.db.execute(select(events.c.id).where(suspended)).first() is not None:
                    raise Refused("suspended", "This account is suspended. Please write to us.")
    """


@hookspec
def account_ready(request: Request, user: User) -> None:
    """A signup is complete, including the verification that the settings require.

    The hook is called once for each user, for every kind of signup. `user_logged_in`
    follows if this flow logs in.

    Stored: the account, and its verified address if verification is mandatory.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Trial:
            @hookimpl
            def account_ready(self, request: Request, user: User) -> None:
                what = "trial begins"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def social_login_begun(request: Request, provider: str, process: str) -> None:
    """A person is redirected to a provider; `pre_social_login` follows if they come back.

    ``process`` is ``login``, ``connect`` or ``redirect``.

    Stored: the state that the callback needs, encrypted.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Departures:
            @hookimpl
            def social_login_begun(self, request: Request, provider: str, process: str) -> None:
                what = f"went to {provider} for {process}"
                request.insert(events, {"id": request.new_id(), "what": what, "at": request.now})
    """


@hookspec
def password_reset_requested(request: Request, user: User | None) -> None:
    """Somebody requested a password reset.

    ``user`` is None if no active account has the address. Anybody can request a
    reset, so the person is not necessarily the user. Two requests for the same
    address have the same ``request.identifier_digest``. A message was passed to
    `deliver_message`, unless one was sent a few minutes before.

    Stored: the digest of the link's key, if a message is sent.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class ResetRequests:
            @hookimpl
            def password_reset_requested(self, request: Request, user: User | None) -> None:
                if user is not None:
                    row = {"id": request.new_id(), "user_id": user.id, "what": "asked for a reset"}
                    request.insert(events, row | {"at": request.now})
    """


@hookspec
def session_ended(request: Request, session: Session, reason: str) -> None:
    """A session has ended before it expired. Called once for each session.

    ``reason`` is ``logout``, ``replaced`` (the same browser logged in again),
    ``ended`` (by its owner, from another session), ``password_set``,
    ``password_changed``, ``password_reset``, ``deactivated`` or ``recovered``
    (the owner of the mailbox has recovered the account). The hook is not called for
    a session that expires.

    Stored: the session is deleted.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, Session, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class DataOfSessions:
            @hookimpl
            def session_ended(self, request: Request, session: Session, reason: str) -> None:
                of_session = events.c.what == f"session {session.id}"
                request.db.execute(delete(events).where(of_session))
    """


@hookspec
def user_deactivated(request: Request, user: User) -> None:
    """An account was deactivated: nobody can log in to it, and all its sessions have ended.

    Stored: the user is not active, and has no sessions.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Goodbye:
            @hookimpl
            def user_deactivated(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "closed", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def user_reauthenticated(request: Request, user: User) -> None:
    """A logged-in user has authenticated again, before a sensitive change.

    Stored: the session's new token and new time of authentication.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class ProvedAgain:
            @hookimpl
            def user_reauthenticated(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "proved again"}
                request.insert(events, row | {"at": request.now})
    """


@hookspec
def flow_refused(request: Request, flow: str, error: Exception, user: User | None) -> None:
    """A flow was refused, for example because of a wrong password or a rate limit.

    ``error`` has a stable ``code``. ``user`` is None if the user is unknown. Two
    refusals for the same identifier have the same ``request.identifier_digest``. One
    call can stand for several refusals: ``request.repeated`` is their number.

    Stored: nothing of the flow, which is rolled back; rows that are written here are stored.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Guesses:
            @hookimpl
            def flow_refused(self, request: Request, flow: str, error: Exception) -> None:
                if getattr(error, "code", None) == "invalid_credentials":
                    what = f"wrong password for {request.identifier_digest}"
                    request.insert(events, {"id": request.new_id(), "what": what, "at": request.now})
    """


@hookspec
def register_providers() -> list[Provider]:
    """A host loads the plugin's providers of social login: return their declarations.

    A declaration with the id of a built-in provider replaces it.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import OpenIDConnectProvider, Provider, hookimpl


        class Intranet:
            @hookimpl
            def register_providers(self) -> list[Provider]:
                issuer = "https://login.example.org"
                return [OpenIDConnectProvider(id="intranet", name="Our intranet", issuer=issuer)]
    """


@hookspec
def register_commands() -> list[Any]:
    """The ``authhost`` command line loads the plugin's commands: return `click.Command` objects.

    ``ctx.obj`` is a callable that returns the `Host`. The host is opened on the first
    call and closed when the command ends. `host_started` is not called, so that a
    command starts no background work. A command that needs background work calls
    ``ctx.obj(background=True)``.

    .. versionadded:: 1.0

    Example::

        from collections.abc import Callable

        import click
        from authhost_hookspecs import Host, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events


        @click.command("events")
        @click.pass_obj
        def count_events(host: Callable[[], Host]) -> None:
            with host().reader.connect() as connection:
                click.echo(connection.execute(select(func.count()).select_from(events)).scalar_one())


        class Commands:
            @hookimpl
            def register_commands(self) -> list[click.Command]:
                return [count_events]
    """


@hookspec
def register_checks() -> list[Callable[[Host], Iterable[Finding]]]:
    """``authhost check`` loads the plugin's checks: return functions that yield findings.

    Each function gets the `Host` and yields a `Finding` for each problem. It must not
    change anything. No plugin has been started (`host_started` is not called), and the
    database may be missing or out of date. So yield findings about the settings first,
    and those that need the database last: if a function fails, the findings before
    that are still reported.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable, Iterable, Iterator

        from authhost_hookspecs import Finding, Host, hookimpl
        from sqlalchemy import select

        from authhost_doorbell.tables import events


        def check_events(host: Host) -> Iterator[Finding]:
            if host.settings.site_name == "authhost":
                yield Finding("warning", "the bell rings for authhost", "set site_name")
            with host.reader.connect() as connection:
                if connection.execute(select(events.c.id)).first() is None:
                    yield Finding("hint", "the bell has never rung", "log in, and look again")


        class Checks:
            @hookimpl
            def register_checks(self) -> list[Callable[[Host], Iterable[Finding]]]:
                return [check_events]
    """


@hookspec
def register_tables() -> PluginTables:
    """The plugin is being loaded: return its own tables and their migrations.

    Times that are read from the database are naive on SQLite and MariaDB (see `Request.db`).

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import PluginTables, hookimpl
        from sqlalchemy import Column, DateTime, MetaData, String, Table, Uuid

        metadata = MetaData()
        events = Table(
            "authhost_doorbell_event",
            metadata,
            Column("id", Uuid, primary_key=True),
            Column("user_id", Uuid, index=True),
            Column("what", String(255), nullable=False),
            Column("at", DateTime(timezone=True), nullable=False),
        )


        class Tables:
            @hookimpl
            def register_tables(self) -> PluginTables:
                return PluginTables(metadata, migrations="authhost_doorbell.migrations")
    """


@hookspec
def register_settings() -> type[Any]:
    """The plugin is being loaded: return the frozen dataclass of its settings.

    All fields must have defaults. Their types are ``str``, ``int``, ``float``,
    ``bool``, or one of these ``| None``. ``plugin_settings`` of the request and of the
    host returns the instance. Raise ``ValueError`` in ``__post_init__`` for invalid
    values: the host does not start then, and shows your message to the operator. The
    message must not contain values that may be secret.

    .. versionadded:: 1.0

    Example::

        from dataclasses import dataclass

        from authhost_hookspecs import hookimpl


        @dataclass(frozen=True)
        class DoorbellSettings:
            volume: int = 3

            def __post_init__(self) -> None:
                if not 0 <= self.volume <= 11:
                    raise ValueError("volume must be from 0 to 11")


        class Doorbell:
            @hookimpl
            def register_settings(self) -> type[DoorbellSettings]:
                return DoorbellSettings
    """
