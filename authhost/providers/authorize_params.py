"""Validate the parameters that an operator or an application adds to an authorization request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from authhost_hookspecs import OAuth2Provider, OpenIDConnectProvider

if TYPE_CHECKING:
    from authhost.providers.app import App

NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_VALUE_LENGTH = 2048
MAX_PARAMS = 30
HOSTED_DOMAIN = "hd"
"""Google's parameter for the domain of an organisation, or ``*`` for any (its guide to OpenID Connect)."""
ANY_DOMAIN = "*"
RESERVED = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "nonce",
        "redirect_uri",
        "redirect_url",
        "callback_url",
        "return_url",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
"""Parameters that bind the callback to this application and this browser, or set its address.

The scope is set by the setting ``scopes``."""


def validate_params(app: App, params: Mapping[str, str]) -> dict[str, str]:
    """Return ``params`` if they may be added to the request; raises ``ValueError``.

    An empty value removes a parameter that the declaration sets.
    """
    if not isinstance(params, Mapping) or len(params) > MAX_PARAMS:
        raise ValueError(f"it must be a mapping of at most {MAX_PARAMS} names to texts")
    for name, value in params.items():
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
            raise ValueError("a name must consist of 1 to 64 letters, digits, - and _")
        if _is_reserved(app, name):
            raise ValueError(f"{name} is set by authhost and cannot be changed; remove it")
        if not isinstance(value, str) or len(value) > MAX_VALUE_LENGTH or not (value.isprintable()):
            raise ValueError(f"{name} must be printable text of up to {MAX_VALUE_LENGTH} characters")
    if params.get(HOSTED_DOMAIN) and not isinstance(app.declaration, OpenIDConnectProvider):
        raise ValueError(f"{HOSTED_DOMAIN} requires an OpenID Connect provider, since the ID token proves it")
    return dict(params)


def required_hosted_domain(app: App, requested: str | None) -> str | None:
    """Return the domain that the ID token must name, or None.

    Raises ``ValueError`` if ``requested`` differs from the domain in the settings.
    """
    required = app.settings.authorize_params.get(HOSTED_DOMAIN) or None
    if requested is None or required in (None, ANY_DOMAIN):
        return requested or required
    if requested.casefold() != required.casefold():
        raise ValueError(f"{HOSTED_DOMAIN} is fixed in the settings of providers.{app.id}; leave it out")
    return required


def _is_reserved(app: App, name: str) -> bool:
    declaration, name = app.declaration, name.casefold()
    client_id_name = declaration.client_id_name if isinstance(declaration, OAuth2Provider) else "client_id"
    return name in RESERVED or name == client_id_name.casefold() or name.startswith("oauth_")
