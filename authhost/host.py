"""The host: assembles settings, plugins, database and flows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from time import monotonic
from typing import Any, Self
from uuid import UUID

import authhost_hookspecs as contract
from sqlalchemy import Engine

from authhost.account import Account
from authhost.account.deactivation import end_deactivations
from authhost.account.expired_sessions import delete_expired_sessions
from authhost.account.plugin_logins import PluginLogins
from authhost.account.refusals import record_all
from authhost.errors import ConfigurationError, HostClosed, SocialAccountNotFound
from authhost.pluginhost.background import Background
from authhost.pluginhost.blocked_plugins import BlockedPlugins
from authhost.pluginhost.blocks import Block
from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.dispatch import Hooks
from authhost.pluginhost.lifecycle import Lifecycle
from authhost.pluginhost.plugin import HookStats
from authhost.pluginhost.plugins import Plugins
from authhost.providers.registry import Providers
from authhost.records import PasswordPolicy, Unpicklable
from authhost.request import Request
from authhost.security.devices import Devices
from authhost.security.encryption import Encryption
from authhost.security.ids import Identifiers
from authhost.security.keys import derive
from authhost.security.passwords import Passwords
from authhost.security.ratelimits import RateLimits
from authhost.security.refusals import Refusals
from authhost.services import Digests, Services, Urls
from authhost.settings import Settings, validated
from authhost.socialaccount import SocialAccounts
from authhost.socialaccount.restored import from_signup as sociallogin_of_signup
from authhost.store import migrate
from authhost.store.applied_migrations import Migration
from authhost.store.database import Database
from authhost.store.engine import shown_database
from authhost.store.expired import delete_expired
from authhost.store.tables import sessions, users
from authhost.telemetry.spans import find_spans
from authhost.telemetry.telemetry import Telemetry
from authhost.users import Changes, Users, read_account
from authhost.users.administrators import administrator_keys
from authhost.users.deletion import delete_expired_signups
from authhost.users.impersonation import is_over

MOVED_TO_SERVICES = frozenset(
    {"devices", "encryption", "hooks", "limits", "passwords", "providers", "refusals"}
)
"""Former attributes of a host that are attributes of ``host.services`` now."""
REPLACED = {"urls": "host.build_url(name)", "key_digest": "host.services.digests.of_key"}
"""Attributes that were removed, and what replaces them."""


def _runs_in_flows(hooks: Iterable[str]) -> bool:
    return any(not hook.startswith("register_") for hook in hooks)


def utc_now() -> datetime:
    """The default clock of a host."""
    return datetime.now(UTC)


class AuthHost(Unpicklable):
    """An authentication engine with its plugins.

    ``plugins`` are plugin objects by name, in addition to the installed plugins;
    ``discover=False`` ignores the installed ones. ``upgrade_database`` applies
    migrations first; if several processes do so, one applies them and the others
    wait. ``background=False`` does not call `host_started` and `host_stopping`, so
    that no plugin starts threads. Flows work without them. It is for commands and
    jobs. ``check_database=False`` does not connect to the database, and implies
    ``background=False``. Raises `ConfigurationError` with the remedy. Use the host
    as a context manager, or call `close`.
    """

    socialaccount = SocialAccounts()

    def __init__(
        self,
        settings: Settings,
        *,
        plugins: Mapping[str, object] | None = None,
        discover: bool = True,
        clock: Callable[[], datetime] = utc_now,
        upgrade_database: bool = False,
        check_database: bool = True,
        background: bool = True,
    ) -> None:
        spans = find_spans()
        self.registry = PluginRegistry(settings, plugins or {}, discover=discover, spans=spans)
        self._providers = Providers(settings, self.registry.providers, clock)
        if any(_runs_in_flows(record.hooks) for record in self.registry.loaded()):
            # For `Request.db`: imported there, it would count as time of the first plugin that uses it.
            import_module("sqlalchemy.orm")
        self.services = Services(
            host=self,
            settings=settings,
            clock=clock,
            database=Database(settings.database_url),
            hooks=self._hooks({}),
            plugin_settings=self._plugin_settings(settings),
            passwords=Passwords(settings),
            limits=RateLimits(settings),
            devices=Devices(settings.secret_keys),
            refusals=Refusals(),
            encryption=Encryption(settings),
            digests=Digests(settings),
            identifiers=Identifiers(clock),
            urls=Urls(settings.base_url, settings.page_urls),
            providers=self._providers,
            sociallogin_of_signup=sociallogin_of_signup,
            account=read_account,
            accounts=Changes,
            logins=PluginLogins,
            login_guards=self._login_guards({}),
            blocked={},
            administrators=administrator_keys(settings.administrators),
            is_impersonation_over=is_over,
            background=Background(
                settings, [each.guarded for each in self.registry.loaded() if each.guarded is not None]
            ),
            telemetry=Telemetry(spans),
        )
        self.account = Account(self._read_account)
        self.users = Users(lambda: self.services)
        self._lifecycle = Lifecycle(self, self.registry)
        self._blocked_plugins = BlockedPlugins(
            self.registry, settings, self.services.database, self._apply_blocked, self._lifecycle.after_fork
        )
        self.plugins = Plugins(
            self.registry,
            settings,
            self.services.database,
            self._blocked_plugins,
            lambda actor, blocked: Request(self._services_with(blocked), actor=actor),
        )
        try:
            if upgrade_database:
                self.upgrade_database()
            elif check_database:
                self._check_database()
            if check_database:
                self._check_deliverer()
                self._blocked_plugins.load()
            if check_database and background:
                self._lifecycle.start(self.services.hooks)
                self._blocked_plugins.watcher.start()
        except BaseException:
            self.close()
            raise

    def request(
        self,
        *,
        ip_address: str | None = None,
        user_agent: str = "",
        session_token: str | None = None,
        pending_token: str | None = None,
        language: str | None = None,
        native: Any = None,
        device_token: str | None = None,
        given: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        actor: contract.Actor | None = None,
    ) -> Request:
        """Return a unit of work for a ``with`` block. It commits at the end, and rolls back on an error.

        ``session_token``, ``pending_token`` and ``device_token`` are from the
        browser's cookies. ``language`` is the language that the user has chosen, or the
        browser's Accept-Language. ``given`` are texts for plugins, such as an invitation
        code: at most 16, with names of 1 to 64 letters, digits, ``_``, ``-`` and ``.``,
        and values of at most 512 characters. A signup or social login that the person
        completes later stores them, encrypted. ``cookies`` are those of the browser, for plugins,
        which do not see authhost's own. ``actor`` is who acts, if that is not the user of the session:
        an operator or a program, for records. Raises `InvalidInput`. A request that is
        used outside its block raises `UnitOfWorkClosed`; a closed host raises `HostClosed`.
        """
        self._check_not_closed()
        self._blocked_plugins.watcher.ensure()
        return Request(
            self.services,
            ip_address=ip_address,
            user_agent=user_agent,
            session_token=session_token,
            pending_token=pending_token,
            language=language,
            native=native,
            device_token=device_token,
            given=given,
            cookies=cookies,
            actor=actor,
        )

    def in_background(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)`` on a thread of the host's pool, at once and outside any unit of work.

        A job that fails, hangs, is dropped because of a full queue, or outlives the
        host is logged by the logger ``authhost.plugins``. Raises ``TypeError`` for an ``async``
        function and if an argument is a request, and `HostClosed`.
        """
        self._check_not_closed()
        self.services.background.submit(self.services.background.job(function, args))

    def wait_for_background(self, seconds: float) -> bool:
        """Wait for all jobs of `in_background`, for at most ``seconds``; return whether they have ended."""
        return self.services.background.wait(seconds)

    @property
    def closed(self) -> bool:
        """Whether `close` has been called: requests, flows and maintenance then raise `HostClosed`."""
        return self.services.database.closed

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.services.settings

    @property
    def clock(self) -> Callable[[], datetime]:
        """The function that returns the current time, in UTC."""
        return self.services.clock

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine."""
        return self.services.database.engine

    @property
    def reader(self) -> Engine:
        """The same engine for reading only: its connections begin no transaction."""
        return self.services.database.reader

    def __getattr__(self, name: str) -> Any:
        """Return a part of the host by its former name, until version 0.3."""
        if name in MOVED_TO_SERVICES:
            warnings.warn(
                f"host.{name} is host.services.{name} now; the former name goes in version 0.3",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(self.services, name)
        hint = f"; use {REPLACED[name]}" if name in REPLACED else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    @cached_property
    def migrations(self) -> dict[str, str]:
        """The packages of migrations by name: first authhost's, then those of the plugins."""
        return migrate.histories(
            (record.name, record.tables.migrations)
            for record in self.registry.loaded()
            if record.tables is not None
        )

    def upgrade_database(self) -> list[Migration]:
        """Apply all migrations, authhost's own and the plugins', and return them; see `migrate.upgrade`."""
        self._check_not_closed()
        return migrate.upgrade(self.engine, self.migrations)

    def delete_expired(
        self, *, on_table: Callable[[str, int], None] = lambda table, count: None
    ) -> dict[str, int]:
        """Delete expired rows; return their number by table. Call it once a day.

        These are keys, pending logins, sessions, for which `session_ended` is called, and
        accounts that were not confirmed in time, for which `user_deleted` is called. Before that,
        accounts become active again whose deactivation is over.
        ``on_table`` gets each table and its number, for instance to show the progress.
        """
        self._check_not_closed()
        end_deactivations(self.services)
        deleted = delete_expired(self.engine, self.clock(), on_table)
        for table, delete_rows in ((sessions, delete_expired_sessions), (users, delete_expired_signups)):
            deleted[table.name] = delete_rows(self.services)
            on_table(table.name, deleted[table.name])
        return deleted

    @property
    def now(self) -> datetime:
        """The current time of the host's clock, in UTC."""
        return self.clock()

    def new_id(self) -> UUID:
        """Return a new, time-ordered identifier (UUID version 7, RFC 9562)."""
        return self.services.identifiers.new()

    def keyed_hash(self, value: str) -> str:
        """Return the HMAC-SHA256 of ``value`` as hex. Its key is derived from ``secret_key``."""
        return self.services.digests.of_plugin(value)

    def keyed_hashes(self, value: str) -> tuple[str, ...]:
        """Return the `keyed_hash` under each key of ``secret_key``, from the newest key to the oldest."""
        return self.services.digests.of_plugin_by_age(value)

    def identifier_digest(self, identifier: str) -> str:
        """Return the value of ``request.identifier_digest`` for an address or a username.

        The identifier is normalised first, like in a login. The digest has a separate
        key, so that nobody can produce a plugin's `keyed_hash` by typing at a login.
        """
        return self.services.digests.of_identifier(identifier)[0]

    def identifier_digests(self, identifier: str) -> tuple[str, ...]:
        """Return the `identifier_digest` under each key of ``secret_key``, the active one first.

        One of the others finds a record that was written with a former key.
        """
        return self.services.digests.of_identifier(identifier)

    def signing_keys(self, use: str) -> tuple[bytes, ...]:
        """Return the keys for one ``use``, derived from each key of ``secret_key`` (256 bits each).

        Sign with the first one. Signatures of the others are still valid.
        """
        return tuple(derive(key, use) for key in self.settings.secret_keys)

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the first of ``encryption_keys``, bound to ``purpose``.

        It is for plugins' tables. `open` needs the same purpose. Values of plugins and
        of the core have different keys. Raises ``TypeError`` if ``text`` is not a str.
        """
        return self.services.encryption.seal_text(text, purpose)

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` encrypted for ``purpose``, with any of ``encryption_keys``.

        Raises `authhost.security.encryption.Undecipherable`, which is a `CannotOpen` of the contract.
        """
        return self.services.encryption.open_text(sealed, purpose)

    @property
    def password_policy(self) -> PasswordPolicy:
        """What a new password must be like, to be shown before somebody chooses one."""
        return PasswordPolicy(self.settings.password_min_length, self.settings.password_max_length)

    def build_url(self, name: str, **values: str) -> str:
        """Return the absolute URL of a page, by its name in ``urls``; raises `KeyError` for others."""
        return self.services.urls.build(name, **values)

    def plugin_stats(self) -> dict[tuple[str, str], HookStats]:
        """Return calls, failures and time so far, by plugin and hook."""
        return {
            (record.name, hook): stats
            for record in self.registry.loaded()
            for hook, stats in record.stats.items()
            if stats.calls
        }

    def blocked_reason(self, plugin: str) -> str | None:
        """Return why, since when and by whom a plugin is blocked at run time, or None."""
        block = self.services.blocked.get(plugin)
        return str(block) if block is not None else None

    def plugin_settings(self, plugin_name: str) -> Any:
        """Return the settings of a plugin; raises `KeyError` if it registers none."""
        return self.services.plugin_settings[plugin_name]

    def close(self) -> None:
        """Wait for background jobs, call `host_stopping`, and close the database connections.

        Jobs of `in_background` have ``background_drain`` seconds; those that have not
        ended then are reported and abandoned. May be called twice.
        """
        if not self.closed:
            record_all(self.services)
        deadline = monotonic() + self.settings.background_drain
        background = self.services.background
        self._blocked_plugins.watcher.close()
        background.wait(deadline - monotonic())  # before plugins stop what their jobs use
        self._lifecycle.wait(deadline - monotonic())
        self._lifecycle.stop(self.services.hooks)
        background.wait(deadline - monotonic())
        background.close()
        self.services.database.close()

    def __enter__(self) -> Self:
        self._check_not_closed()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def social_token(
        self, social_account: contract.SocialAccount, *, refresh: bool = False
    ) -> contract.SocialToken:
        """Return the provider's token of an account for a job or a command, refreshed if it has expired.

        Raises what ``socialaccount.token`` raises.
        """
        if social_account.id is None or social_account.user_id is None:
            raise SocialAccountNotFound
        account_id, user_id = social_account.id, social_account.user_id
        with self.request() as request:
            return self.socialaccount.token(request, account_id=account_id, user_id=user_id, refresh=refresh)

    def _read_account(self, user_id: UUID) -> contract.Account | None:
        with self.request() as request:
            return request.account(user_id)

    def _plugin_settings(self, settings: Settings) -> dict[str, Any]:
        return {
            record.name: validated(
                record.settings_class,
                settings.plugin_settings.get(record.name, {}),
                f"plugin {record.name}",
            )
            for record in self.registry.loaded()
            if record.settings_class is not None
        }

    def _hooks(self, blocked: Mapping[str, Block]) -> Hooks:
        views = {record.name: record.view for record in self.registry.loaded() if record.name in blocked}
        return Hooks(self.registry.manager, self.registry.specs.published, without=views)

    def _login_guards(self, blocked: Mapping[str, Block]) -> frozenset[str]:
        return frozenset(
            record.name
            for record in self.registry.loaded()
            if "login_steps" in record.hooks and record.name not in blocked
        )

    def _services_with(self, blocked: Mapping[str, Block]) -> Services:
        """Return the services for units of work in which some plugins are blocked."""
        declared = [record.providers for record in self.registry.loaded() if record.name in blocked]
        return replace(
            self.services,
            hooks=self._hooks(blocked),
            providers=self._providers.without(frozenset().union(*declared)),
            login_guards=self._login_guards(blocked),
            blocked=blocked,
        )

    def _apply_blocked(self, blocked: Mapping[str, Block]) -> None:
        """Block these plugins, and no others, in the units of work that begin from now on."""
        changed = blocked.keys() ^ self.registry.blocked.keys()
        self.registry.blocked = blocked
        self.services = self._services_with(blocked)
        for record in self.registry.loaded():
            if record.guarded is not None:
                record.guarded.blocked = record.name in blocked
        self._lifecycle.follow(changed)

    def _check_not_closed(self) -> None:
        if self.closed:
            raise HostClosed

    def _check_database(self) -> None:
        late = [
            name for name, state in migrate.current(self.reader, self.migrations).items() if not state.current
        ]
        if late:
            raise ConfigurationError(
                f"the database {shown_database(self.settings.database_url)} is not up to date "
                f"({', '.join(late)}); run `authhost db upgrade`"
            )

    def _check_deliverer(self) -> None:
        delivers = any("deliver_message" in record.hooks for record in self.registry.loaded())
        if self.settings.email_verification != "none" and not delivers:
            raise ConfigurationError(
                f"email_verification is {self.settings.email_verification}, but no plugin delivers e-mail; "
                "`pip install authhost-email`, or set email_verification to none"
            )
