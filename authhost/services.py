"""The parts of a host that flows and requests need, as one immutable object."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from authhost.records import Unpicklable
from authhost.security.inputs import identifier_key
from authhost.security.key_age import KeyList
from authhost.security.keys import derive

if TYPE_CHECKING:
    from authhost_hookspecs import Account, AccountChanges, Host, Logins, SocialLogin

    from authhost.pluginhost.background import Background
    from authhost.pluginhost.blocks import Block
    from authhost.pluginhost.dispatch import Hooks
    from authhost.providers.registry import Providers
    from authhost.records import Session, User
    from authhost.security.devices import Devices
    from authhost.security.encryption import Encryption
    from authhost.security.ids import Identifiers
    from authhost.security.passwords import Passwords
    from authhost.security.ratelimits import RateLimits
    from authhost.security.refusals import Refusals
    from authhost.settings import Settings
    from authhost.store.database import Database
    from authhost.telemetry.telemetry import Telemetry


class Digests(Unpicklable):
    """Keyed hashes (HMAC-SHA256) of typed identifiers, and of values of plugins."""

    def __init__(self, settings: Settings) -> None:
        self._plugins = derive(settings.secret_keys[0], "plugins")
        ordered = KeyList.of(settings.secret_keys).newest_first
        self._plugins_by_age = [derive(key, "plugins") for key in ordered]
        self._identifiers = [derive(key, "identifier") for key in settings.secret_keys]

    def of_plugin(self, value: str) -> str:
        """Return the hash of a value of a plugin, with the active key, as hex."""
        return _hashed(self._plugins, value)

    def of_plugin_by_age(self, value: str) -> tuple[str, ...]:
        """Return the hashes of a value of a plugin with each key, that of the oldest key last."""
        return tuple(_hashed(key, value) for key in self._plugins_by_age)

    def of_key(self, key: str) -> str:
        """Return the digest of a result of `inputs.identifier_key`, with the active key, as hex."""
        return _hashed(self._identifiers[0], key)

    def of_identifier(self, identifier: str) -> tuple[str, ...]:
        """Return the digests of an e-mail address or username with each key, the active key first."""
        typed = identifier_key(identifier)
        return tuple(_hashed(key, typed) for key in self._identifiers)


class Urls:
    """The absolute URLs of the pages of a site, by the names of the setting ``urls``."""

    def __init__(self, base_url: str, paths: Mapping[str, str]) -> None:
        self._base_url, self._paths = base_url, paths

    def build(self, name: str, **values: str) -> str:
        """Return the URL of page ``name``; raises `KeyError` for an unknown one."""
        path = self._paths[name].format(**{key: quote(value, safe="") for key, value in values.items()})
        return self._base_url + path


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Services(Unpicklable):
    """The parts of one host that flows and units of work use. `AuthHost` assembles them."""

    host: Host
    """The host, for plugins. Lower layers use only this protocol of it."""
    settings: Settings
    clock: Callable[[], datetime]
    database: Database
    hooks: Hooks
    plugin_settings: Mapping[str, Any]
    """The settings of each plugin, by its name."""
    passwords: Passwords
    limits: RateLimits
    devices: Devices
    refusals: Refusals
    encryption: Encryption
    digests: Digests
    identifiers: Identifiers
    urls: Urls
    providers: Providers
    sociallogin_of_signup: Callable[[Any, User], SocialLogin | None]
    """Returns the social login by which a user signed up, for a request."""
    account: Callable[[Any, UUID], Account | None]
    """Reads an account within a request; see `authhost.users.snapshot`."""
    accounts: Callable[[Any], AccountChanges]
    """Returns the administrative changes within a request; see `authhost.users.changes`."""
    logins: Callable[[Any], Logins]
    """Returns the logins by plugins within a request; see `authhost.account.plugin_logins`."""
    login_guards: frozenset[str]
    """The loaded plugins that have login steps, and are not blocked."""
    administrators: frozenset[str]
    """The keys of the addresses of the setting ``administrators``."""
    blocked: Mapping[str, Block]
    """The loaded plugins that are blocked at run time, by name: no unit of work calls them."""
    is_impersonation_over: Callable[[Any, Session, User], bool]
    """Returns whether an impersonation must not go on; see `authhost.users.impersonation`."""
    background: Background
    telemetry: Telemetry


def _hashed(key: bytes, value: str) -> str:
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256").hex()
