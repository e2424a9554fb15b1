"""Extension points by which a plugin provides tables, settings, commands and more."""

# Specifications have no bodies; their annotations say what implementations return.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.admin_pages import AdminPanel
from authhost_hookspecs.declarations import Finding, Health, Metric, PluginTables
from authhost_hookspecs.managed_keys import ManagedKey
from authhost_hookspecs.pages import ApiRoute, PageRoute, Panel, Section
from authhost_hookspecs.protocols import Host, Request
from authhost_hookspecs.providers import Provider


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

    ``ctx.obj`` is a `CommandContext`. Calling it returns the `Host`, which is opened on the
    first call and closed when the command ends. `host_started` is not called, so that a
    command starts no background work. A command that needs background work calls
    ``ctx.obj(background=True)``. ``ctx.obj.console`` (since 1.1) prints tables and JSON
    lines, shows progress and asks for confirmation: see `Console`. ``ctx.obj.find_user(name)``
    (since 1.1) returns the account that an argument names.

    .. versionadded:: 1.0

    Example::

        import click
        from authhost_hookspecs import CommandContext, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events


        @click.command("events")
        @click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
        @click.pass_obj
        def count_events(context: CommandContext, as_json: bool) -> None:
            counted = select(events.c.what, func.count().label("count")).group_by(events.c.what)
            with context().reader.connect() as connection:
                rows = [row._asdict() for row in connection.execute(counted)]
            context.console.print_rows(rows, as_json=as_json, empty="the bell has never rung")


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
def register_health() -> list[Callable[[Host], Iterable[Health]]]:
    """``authhost status`` or a monitoring page loads the plugin's health checks: return functions.

    Each function gets the `Host` and yields a `Health` for each part of the plugin that
    can fail while it runs. It must be fast, must not change anything, and must not call
    other servers. In ``authhost status``, `host_started` was not called, so background
    work of the application is in another process: check it by the rows that it
    writes. Each function runs on a thread of its own. If it fails, or has not ended
    after 5 seconds, it is reported as ``failed``, with the class of the error only.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable, Iterable, Iterator

        from authhost_hookspecs import Health, Host, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events


        def bell_health(host: Host) -> Iterator[Health]:
            with host.reader.connect() as connection:
                count = connection.execute(select(func.count()).select_from(events)).scalar_one()
            yield Health("bell", "ok" if count < 1_000_000 else "degraded", f"{count} events")


        class BellHealth:
            @hookimpl
            def register_health(self) -> list[Callable[[Host], Iterable[Health]]]:
                return [bell_health]
    """


@hookspec
def register_keys() -> list[ManagedKey]:
    """``authhost keys`` loads the plugin's keys: return a `ManagedKey` for each setting with a key.

    Change a key in phases, because the processes of a site are restarted one after the other:
    first all of them accept the new key, then it becomes active, and the former one is
    removed when nothing needs it. Keys of the host need no declaration: name columns that were
    encrypted with `Request.seal` in ``PluginTables(sealed=…)``.

    .. versionadded:: 1.1

    Example::

        import secrets
        from collections.abc import Iterator
        from hashlib import sha256

        from authhost_hookspecs import Host, KeyChange, KeyState, ManagedKey, hookimpl


        def states(host: Host) -> Iterator[KeyState]:
            key = host.plugin_settings("doorbell").chime_key
            yield KeyState(sha256(key.encode()).hexdigest()[:8], "active")


        def change(host: Host, phase: str | None) -> KeyChange:
            if phase not in (None, "activate"):
                raise ValueError("chime_key is changed in one phase: activate")
            later = "enter the new key at the bell, and restart all processes"
            return KeyChange("activate", {"chime_key": secrets.token_urlsafe(32)}, later)


        class ChimeKey:
            @hookimpl
            def register_keys(self) -> list[ManagedKey]:
                return [ManagedKey("chime_key", "signs what the bell is told", states, change)]
    """


@hookspec
def register_maintenance() -> list[Callable[[Host], str]]:
    """``authhost maintain`` loads the plugin's daily work: return functions.

    Each function gets the `Host`, does what has to be done about once a day, such as deleting
    old rows, and returns what it did in a few words, such as ``12 rows deleted``. It can run
    at any time, several times a day, and in two processes at once. It is outside any flow, so it
    opens its own transactions, of a limited size. If it fails, the other tasks still run, and the
    command exits with 1. The task is named after the plugin and the function.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable
        from datetime import timedelta

        from authhost_hookspecs import Host, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        def forget_old_events(host: Host) -> str:
            with host.engine.begin() as connection:
                old = events.c.at < host.now - timedelta(days=90)
                return f"{connection.execute(delete(events).where(old)).rowcount} events deleted"


        class Tidy:
            @hookimpl
            def register_maintenance(self) -> list[Callable[[Host], str]]:
                return [forget_old_events]
    """


@hookspec
def register_metrics() -> list[Callable[[Host], Iterable[Metric]]]:
    """``authhost metrics`` or a monitoring page loads the plugin's metrics: return functions.

    Each function gets the `Host` and yields a `Metric` for each number. It must be fast,
    and must not change anything. If it fails, the failure is logged, and its other
    numbers and those of other plugins are still reported. A metric whose name does not
    start with ``authhost_`` and the plugin's name is not reported.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable, Iterable, Iterator

        from authhost_hookspecs import Host, Metric, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events


        def bell_metrics(host: Host) -> Iterator[Metric]:
            with host.reader.connect() as connection:
                count = connection.execute(select(func.count()).select_from(events)).scalar_one()
            yield Metric("authhost_doorbell_events", count, "gauge", "Stored events.")


        class BellMetrics:
            @hookimpl
            def register_metrics(self) -> list[Callable[[Host], Iterable[Metric]]]:
                return [bell_metrics]
    """


@hookspec
def register_routes() -> list[PageRoute | ApiRoute]:
    """The web layer loads the plugin's pages and JSON endpoints: return `PageRoute` and `ApiRoute` values.

    They are served below ``/NAME`` and ``/api/NAME``, where ``NAME`` is the name of the
    plugin, so that no plugin can take the path of another one. The web layer checks the
    origin of every request that may change something, opens the unit of work, validates
    the fields, escapes all texts and sends the response after the commit. Two routes
    with one path and method are refused.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Mapping

        from authhost_hookspecs import ApiRoute, Field, Form, Page, PageRoute, Request, Values, hookimpl

        from authhost_doorbell.tables import events


        def show(request: Request) -> Page:
            name = Field("visitor", "Your name", max_length=100)
            return Page("doorbell", "Ring the bell", forms=(Form("/ring", "Ring", (name,)),))


        def ring(request: Request, values: Values) -> None:
            row = {"id": request.new_id(), "what": f"rung by {values['visitor']}", "at": request.now}
            request.insert(events, row)
            request.answer.message("success", "The bell has rung.")


        def ring_by_program(request: Request, values: Values) -> Mapping[str, object]:
            ring(request, values)
            return {"rung": True}


        class DoorbellPages:
            @hookimpl
            def register_routes(self) -> list[PageRoute | ApiRoute]:
                fields = (Field("visitor", "Your name", max_length=100),)
                return [
                    PageRoute("/ring", show, ring, fields, login=False),
                    ApiRoute("POST", "/ring", ring_by_program, "Ring the bell.", fields, login=False),
                ]
    """


@hookspec
def register_panels() -> list[Callable[[Request], Section | None] | Panel | AdminPanel]:
    """The web layer loads the plugin's sections of pages: return functions or `Panel` values.

    A function is for the account page: it gets the request of a logged-in user and returns a
    `Section`, or None to show nothing. A `Panel` names the page: ``account``, ``login``,
    ``signup`` or ``reauthenticate``. The actions of forms are paths of the plugin's own `PageRoute`
    values. An `AdminPanel` is for an administrator's page of a user, and has pages and actions of its
    own. A panel that fails is logged and left out, and its changes are rolled back.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable

        from authhost_hookspecs import Link, Panel, Request, Section, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events


        def bell(request: Request) -> Section | None:
            count = request.db.execute(select(func.count()).select_from(events)).scalar_one()
            text = f"The bell has rung {count} times."
            return Section("Doorbell", (text,), links=(Link("Ring", "/ring"),))


        def ring_instead(request: Request) -> Section:
            return Section("No account?", links=(Link("Ring the bell", "/ring"),))


        class DoorbellPanel:
            @hookimpl
            def register_panels(self) -> list[Callable[[Request], Section | None] | Panel]:
                return [bell, Panel("login", ring_instead)]
    """


@hookspec
def register_tables() -> PluginTables:
    """The plugin is being loaded: return its own tables and their migrations.

    A plugin with rows about users also implements `user_deleted`, which deletes them, and
    `export_user`. ``retained`` names tables whose rows stay on purpose, with the reason.
    ``sealed`` names the columns that are encrypted with `Request.seal`, with their purposes.

    Times that are read from the database are naive on SQLite and MariaDB: `utc` makes
    them aware.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import PluginTables, Request, User, hookimpl
        from sqlalchemy import Column, DateTime, MetaData, String, Table, Uuid, delete

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

            @hookimpl
            def user_deleted(self, request: Request, user: User) -> None:
                request.db.execute(delete(events).where(events.c.user_id == user.id))
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


@hookspec
def register_hookspecs() -> list[Callable[..., None]]:
    """The plugin is being loaded: return the specifications of its own hooks.

    Other plugins implement them like the hooks of the contract, with ``hookimpl``; with
    ``optionalhook=True`` they are also accepted if this plugin is not installed. The
    plugin calls them with `Request.call_hook`. They are notifications: every
    implementation is called, results are ignored, and failures are logged and rolled
    back. `Stored:`, the version of the plugin and an example belong in the docstring;
    ``authhost hooks NAME`` shows it.

    A specification is a plain function decorated with ``hookspec``. Its first argument
    is ``request``; no argument has a default or begins with an underscore. Its name
    must differ from all hooks of the contract and of other plugins, and must not begin
    with ``register_``. Begin it with the object of the event, such as
    ``authenticator_added``.
    Its name and arguments are an interface: do not change them.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Callable

        from authhost_hookspecs import Request, User, hookimpl, hookspec

        from authhost_doorbell.tables import events


        @hookspec
        def bell_rung(request: Request, visitor: str) -> None:
            '''Somebody has rung the bell.

            Stored: nothing yet.

            .. versionadded:: 0.2

            Example::

                class Butler:
                    @hookimpl(optionalhook=True)
                    def bell_rung(self, request, visitor): ...
            '''


        class Bell:
            @hookimpl
            def register_hookspecs(self) -> list[Callable[..., None]]:
                return [bell_rung]

            @hookimpl
            def user_logged_in(self, request: Request, user: User) -> None:
                request.call_hook("bell_rung", visitor=user.username)

            @hookimpl
            def bell_rung(self, request: Request, visitor: str) -> None:
                row = {"id": request.new_id(), "what": f"rung by {visitor}", "at": request.now}
                request.insert(events, row)
    """
