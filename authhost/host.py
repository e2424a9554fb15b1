"""The host: settings, plugins, database and flows, tied together."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self
from uuid import UUID

from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine

from authhost.account import Account
from authhost.discovery import PluginRegistry
from authhost.dispatch import Hooks
from authhost.encryption import Encryption
from authhost.errors import ConfigurationError
from authhost.guard import HookStats
from authhost.ids import Identifiers
from authhost.passwords import Passwords
from authhost.providers.registry import Providers
from authhost.ratelimits import RateLimits
from authhost.request import Request
from authhost.settings import DEFAULT_URLS, Settings, validated
from authhost.socialaccount import SocialAccounts
from authhost.store import migrate
from authhost.store.engine import make_engine, reading, shown_database
from authhost.store.expired import delete_expired


def utc_now() -> datetime:
    """The clock of a host that was given no other."""
    return datetime.now(UTC)


class AuthHost:
    """An authentication engine with its plugins.

    ``plugins`` are plugin objects by name, beside those that are installed;
    ``discover=False`` leaves the installed ones out. ``upgrade_database``
    applies migrations first; of several processes that do, one works and the
    others wait. ``background=False`` starts no plugin: `host_started` and
    `host_stopping` are not called, so that no thread runs; flows work as ever.
    It is for commands and jobs, which look or do one thing.
    ``check_database=False`` does not look at the database, and implies
    ``background=False``. Raises `ConfigurationError` with what to do.
    Use it as a context manager, or call `close`.
    """

    account = Account()
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
        self.settings = settings
        self.clock = clock
        self._identifiers = Identifiers(clock)
        self.urls = {**DEFAULT_URLS, **settings.urls}
        self.registry = PluginRegistry(settings, plugins or {}, discover=discover)
        self.hooks = Hooks(self.registry.manager)
        self._plugin_settings = {
            record.name: validated(
                record.settings_class,
                settings.plugin_settings.get(record.name, {}),
                f"plugin {record.name}",
            )
            for record in self.registry.loaded()
            if record.settings_class is not None
        }
        self.engine: Engine = make_engine(settings.database_url)
        self.reader = reading(self.engine)
        self.passwords = Passwords(settings)
        self.limits = RateLimits(settings)
        self.encryption = Encryption(settings)
        self.providers = Providers(settings, self.registry.providers, clock)
        self.pending_logins = URLSafeTimedSerializer(settings.secret_key, salt="authhost.pending-login")
        self._hash_keys = {
            use: hashlib.sha256(f"authhost.{use}:{settings.secret_key}".encode()).digest()
            for use in ("identifier", "plugins")
        }
        self._open = False
        try:
            if upgrade_database:
                self.upgrade_database()
            elif check_database:
                self._check_database()
            if check_database:
                self._check_deliverer()
            if check_database and background:
                self._open = True
                self.hooks.host_started(self)
        except BaseException:
            self.close()
            raise

    def request(
        self,
        *,
        ip_address: str | None = None,
        user_agent: str = "",
        session_token: str | None = None,
        language: str | None = None,
        native: Any = None,
    ) -> Request:
        """A unit of work, for a ``with`` block: commits at its end, rolls back on an error.

        ``language`` is what the user has chosen, or the browser's Accept-Language.
        """
        return Request(
            self,
            ip_address=ip_address,
            user_agent=user_agent,
            session_token=session_token,
            language=language,
            native=native,
        )

    @cached_property
    def migrations(self) -> dict[str, str]:
        """The packages of migrations by name: authhost's own, then each plugin's."""
        return migrate.histories(
            (record.name, record.tables.migrations)
            for record in self.registry.loaded()
            if record.tables is not None
        )

    def upgrade_database(self) -> list[migrate.Applied]:
        """Apply all migrations, authhost's own and the plugins', and return them; see `migrate.upgrade`."""
        return migrate.upgrade(self.engine, self.migrations)

    def delete_expired(self) -> dict[str, int]:
        """Delete keys and sessions that have expired; return how many, by table. Call it once a day."""
        return delete_expired(self.engine, self.clock(), self.settings.session_idle)

    @property
    def now(self) -> datetime:
        """The host's clock, in UTC."""
        return self.clock()

    def new_id(self) -> UUID:
        """A new, time-ordered identifier (UUID version 7, RFC 9562)."""
        return self._identifiers.new()

    def keyed_hash(self, value: str) -> str:
        """A hash of ``value`` that nobody can guess at without ``secret_key``: HMAC-SHA256, as hex."""
        return self._hashed("plugins", value)

    def identifier_digest(self, identifier: str) -> str:
        """What ``request.identifier_digest`` is where ``identifier`` was typed.

        It has a key of its own: nobody gets at a plugin's `keyed_hash` by
        typing at a login what that plugin hashes.
        """
        return self._hashed("identifier", identifier)

    def _hashed(self, use: str, value: str) -> str:
        return hmac.digest(self._hash_keys[use], value.encode("utf-8", "surrogatepass"), "sha256").hex()

    def plugin_stats(self) -> dict[tuple[str, str], HookStats]:
        """Calls, failures and time so far, by plugin and hook."""
        return {
            (record.name, hook): stats
            for record in self.registry.loaded()
            for hook, stats in record.stats.items()
            if stats.calls
        }

    def plugin_settings(self, plugin_name: str) -> Any:
        """What the operator set for a plugin; raises `KeyError` where it registers no settings."""
        return self._plugin_settings[plugin_name]

    def close(self) -> None:
        """Let the plugins stop, and close the connections. May be called twice."""
        if self._open:
            self._open = False
            self.hooks.host_stopping(self)
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
