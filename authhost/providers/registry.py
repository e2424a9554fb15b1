"""The providers that are configured in the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from authhost_hookspecs import OAuth1Provider, OAuth2Provider, Provider

from authhost.errors import ConfigurationError, ProviderNotFound
from authhost.providers.app import App, ProviderSettings
from authhost.providers.authorize_params import validate_params
from authhost.settings import Settings, validated

if TYPE_CHECKING:
    from authhost.providers.client import ProviderClient

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Providers:
    """The configured providers, by id. Raises `ConfigurationError` if their settings are invalid."""

    def __init__(
        self,
        settings: Settings,
        declared: Callable[[], Mapping[str, Provider]],
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._clients: dict[str, ProviderClient[Any]] = {}
        self._apps: dict[str, App] = {}
        if settings.providers:
            declarations = all_declarations(declared())
            self._apps = {
                name: _app(name, values, declarations) for name, values in settings.providers.items()
            }

    def __iter__(self) -> Iterator[App]:
        return iter(self._apps.values())

    def __contains__(self, name: object) -> bool:
        return name in self._apps

    def without(self, declarations: Collection[str]) -> Self:
        """Return the same providers, without those of some declarations."""
        others = copy(self)
        others._apps = {
            name: app for name, app in self._apps.items() if app.declaration.id not in declarations
        }
        return others

    def app(self, name: object) -> App:
        """Return the provider with the id ``name``; raises `ProviderNotFound`."""
        app = self._apps.get(name) if isinstance(name, str) else None
        if app is None:
            raise ProviderNotFound
        return app

    def client(self, app: App) -> ProviderClient[Any]:
        """Return the client of a provider; it is created once, since it caches the provider's documents."""
        if app.id not in self._clients:
            self._clients[app.id] = _client(app, self._clock)
        return self._clients[app.id]


def all_declarations(from_plugins: Mapping[str, Provider]) -> dict[str, Provider]:
    """Return all declarations by id. A plugin's declaration replaces a built-in one with the same id."""
    from authhost.providers.catalogue import BUILT_IN

    return {**{each.id: each for each in BUILT_IN}, **from_plugins}


def _app(name: str, values: Mapping[str, Any], declarations: Mapping[str, Provider]) -> App:
    if not ID_PATTERN.fullmatch(name):
        raise ConfigurationError(f"providers.{name}: a name must be lower-case letters, digits, - and _")
    scopes = values.get("scopes")
    if isinstance(scopes, str):
        values = {**values, "scopes": tuple(scopes.replace(",", " ").split())}
    params = values.get("authorize_params")
    if isinstance(params, str):  # set by an environment variable
        values = {**values, "authorize_params": dict(parse_qsl(params, keep_blank_values=True))}
    settings = validated(ProviderSettings, values, f"providers.{name}")
    declaration_id = settings.provider or name
    declaration = declarations.get(declaration_id)
    if declaration is None:
        near = get_close_matches(declaration_id, declarations, 1)
        raise ConfigurationError(
            f"providers.{name}: there is no provider {declaration_id!r}; "
            + (f"did you mean {near[0]!r}?" if near else "see `authhost providers list --all`")
        )
    app = App(name, declaration, settings)
    try:
        validate_params(app, settings.authorize_params)
    except ValueError as error:
        raise ConfigurationError(f"providers.{name}: authorize_params: {error}") from None
    missing = list(app.missing_settings())
    if missing:
        raise ConfigurationError(f"providers.{name} requires the setting {' and '.join(missing)}")
    return app


def _client(app: App, clock: Callable[[], datetime]) -> ProviderClient[Any]:
    """Return a client for the declaration's protocol. Imports the HTTP libraries only when one is needed."""
    if isinstance(app.declaration, OAuth1Provider):
        from authhost.providers.oauth1 import OAuth1Client

        return OAuth1Client(app, app.declaration, clock)
    if isinstance(app.declaration, OAuth2Provider):
        from authhost.providers.oauth2 import OAuth2Client

        return OAuth2Client(app, app.declaration, clock)
    from authhost.providers.openid import OpenIDClient

    return OpenIDClient(app, app.declaration, clock)
