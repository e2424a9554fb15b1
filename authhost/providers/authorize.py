"""What an operator or an application may add to an authorization request, and what not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from authhost_hookspecs import OAuth2Provider, OpenIDConnectProvider

if TYPE_CHECKING:
    from authhost.providers.app import App

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
VALUE_LENGTH = 2048
MOST_PARAMS = 30
HOSTED_DOMAIN = "hd"
"""Google: the domain of an organisation, or ``*`` for any (its guide to OpenID Connect)."""
ANY_DOMAIN = "*"
PROTECTED = frozenset(
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
"""What binds the answer to this application and this browser, and says where it goes. The
setting ``scopes`` is there for the scope."""


def checked(app: App, params: Mapping[str, str]) -> dict[str, str]:
    """``params`` if they may be added to the request; raises ``ValueError``.

    An empty value takes a parameter of the declaration out.
    """
    if not isinstance(params, Mapping) or len(params) > MOST_PARAMS:
        raise ValueError(f"they must be up to {MOST_PARAMS} names with a text each")
    for name, value in params.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError("a name must have 1 to 64 letters, digits, - and _")
        if _is_protected(app, name):
            raise ValueError(f"{name} is set by authhost, and nothing else may set it")
        if not isinstance(value, str) or len(value) > VALUE_LENGTH or not (value.isprintable()):
            raise ValueError(f"{name} must be printable text of up to {VALUE_LENGTH} characters")
    if params.get(HOSTED_DOMAIN) and not isinstance(app.declaration, OpenIDConnectProvider):
        raise ValueError(f"{HOSTED_DOMAIN} needs a provider of OpenID Connect, whose ID token proves it")
    return dict(params)


def hosted_domain(app: App, asked: str | None) -> str | None:
    """The domain that the ID token must name; raises ``ValueError`` where the operator wants another."""
    required = app.settings.authorize_params.get(HOSTED_DOMAIN) or None
    if asked is None or required in (None, ANY_DOMAIN):
        return asked or required
    if asked.casefold() != required.casefold():
        raise ValueError(f"{HOSTED_DOMAIN} is set for this provider in the settings")
    return required


def _is_protected(app: App, name: str) -> bool:
    declaration, name = app.declaration, name.casefold()
    of_client = declaration.client_id_name if isinstance(declaration, OAuth2Provider) else "client_id"
    return name in PROTECTED or name == of_client.casefold() or name.startswith("oauth_")
