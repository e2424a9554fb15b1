"""Declarations of social login providers, as `register_providers` returns them.

A declaration is data. The host runs the protocol, validates the responses, and
passes them to ``read_profile``. ``{server}`` and ``{tenant}`` in a URL are replaced
with the operator's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ProviderEmail:
    """An e-mail address from a provider, and whether the provider has verified it."""

    email: str
    """The address, as the provider sends it."""
    verified: bool = False
    """Whether the provider says, in this response, that the person owns it."""
    primary: bool = False
    """Whether it is the primary address at the provider."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a person at a provider. ``uid`` never changes and is never reused."""

    uid: str
    """The identifier at the provider, of 1 to 255 printable characters."""
    emails: tuple[ProviderEmail, ...] = ()
    """The addresses from the provider."""
    username: str | None = None
    """The username at the provider."""
    name: str | None = None
    """The full display name."""
    picture: str | None = None
    """The URL of a picture."""


ReadProfile = Callable[[Mapping[str, Any]], Profile]
"""Reads the responses of a provider: the profile, further documents under their names, and under
``token`` the response of the token endpoint without the tokens. A missing key may raise `KeyError`."""


def claims_profile(claims: Mapping[str, Any]) -> Profile:
    """Read OpenID Connect's standard claims (OpenID Connect Core 1.0, section 5.1).

    A claim with a type other than the standard's is ignored.
    """
    email = _text(claims, "email")
    verified = claims.get("email_verified") in (True, "true")
    return Profile(
        uid=claims["sub"],
        emails=(ProviderEmail(email, verified, primary=True),) if email else (),
        username=_text(claims, "preferred_username"),
        name=_text(claims, "name"),
        picture=_text(claims, "picture"),
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Provider:
    """A provider that speaks OAuth 2.0 (RFC 6749), with PKCE (RFC 7636)."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``. The operator's settings refer to it."""
    name: str
    """The display name."""
    authorize_url: str
    """The authorization endpoint (RFC 6749, section 3.1)."""
    token_url: str
    """The token endpoint (RFC 6749, section 3.2)."""
    profile_url: str
    """The URL of the profile, in JSON."""
    read_profile: ReadProfile
    """Reads the responses."""
    scopes: tuple[str, ...] = ()
    """The scopes that are requested by default: no more than a login needs."""
    more_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    """URLs of further documents for ``read_profile``, by name. If the provider responds with 403 or 404,
    the document is an empty list."""
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    """The default values of ``{server}`` and ``{tenant}``."""
    uids_span_tenants: bool = False
    """True if a uid is unique over all tenants. Otherwise it is unique within its tenant only.
    Since contract 1.1."""
    authorize_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Additional parameters for the authorization endpoint."""
    scope_separator: str = " "
    """The separator between two scopes."""
    pkce: bool = True
    """False for a provider that refuses PKCE. Then only the state binds the response to the browser."""
    credentials: Literal["body", "basic"] = "body"
    """How the client id and secret are sent to the token endpoint (RFC 6749, section 2.3.1)."""
    client_id_name: str = "client_id"
    """The parameter name of the client id."""
    client_secret_name: str = "client_secret"
    """The parameter name of the client secret."""
    token_method: Literal["POST", "GET"] = "POST"
    """The HTTP method of the token endpoint."""
    token_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Additional parameters for the token endpoint; ``{name}`` is replaced with a callback parameter."""
    refresh_url: str = ""
    """The URL that refreshes a token, if it is not ``token_url``."""
    token_in: Literal["header", "query", "body"] = "header"
    """How the access token is sent to ``profile_url`` (RFC 6750); ``body`` is a POST."""
    profile_method: Literal["GET", "POST"] = "GET"
    """The HTTP method of ``profile_url``."""
    profile_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parameters for ``profile_url``; ``{name}`` is replaced with a value of the token response."""
    profile_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of the token and profile requests; ``{client_id}`` is replaced."""
    trusts_emails: bool = True
    """Whether the provider is trusted to verify addresses, unless the operator sets it otherwise.
    For a ``{server}`` other than the default one, only the operator can turn it on."""
    docs: str = ""
    """The URL where an operator registers a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIDConnectProvider:
    """A provider that speaks OpenID Connect. The discovery document of the issuer has all endpoints."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``. The operator's settings refer to it."""
    name: str
    """The display name."""
    issuer: str = "{server}"
    """The issuer identifier; by default the operator's setting ``server``."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """The scopes that are requested by default."""
    read_profile: ReadProfile = claims_profile
    """Reads the claims of the ID token, overridden by those of the userinfo endpoint."""
    authorize_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Additional parameters for the authorization endpoint."""
    userinfo: bool = True
    """Whether the userinfo endpoint is called, if there is one."""
    signed_secret: bool = False
    """The client secret is a JWT that is signed with a key of the operator (Apple)."""
    posts_user: bool = False
    """True if the first response has a form field ``user`` with the person's name (Apple). The field is
    not signed. ``read_profile`` gets the name under ``user``, in later logins, too.
    Since contract 1.1."""
    trusts_emails: bool = True
    """Whether the provider is trusted to verify addresses, unless the operator sets it otherwise.
    If ``issuer`` contains ``{server}``, only the operator can turn it on."""
    docs: str = ""
    """The URL where an operator registers a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth1Provider:
    """A provider that speaks OAuth 1.0a (RFC 5849)."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``. The operator's settings refer to it."""
    name: str
    """The display name."""
    request_token_url: str
    """The URL of request tokens (RFC 5849, section 2.1)."""
    authorize_url: str
    """The authorization URL (section 2.2)."""
    access_token_url: str
    """The URL of access tokens (section 2.3)."""
    profile_url: str
    """The URL of the profile, in JSON."""
    read_profile: ReadProfile
    """Reads the responses."""
    authorize_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Additional parameters for the authorization URL."""
    profile_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parameters for ``profile_url``."""
    trusts_emails: bool = True
    """Whether the provider is trusted to verify addresses, unless the operator sets it otherwise."""
    docs: str = ""
    """The URL where an operator registers a client."""


Provider = OAuth1Provider | OAuth2Provider | OpenIDConnectProvider
"""A declaration of any protocol."""

__all__ = [
    "OAuth1Provider",
    "OAuth2Provider",
    "OpenIDConnectProvider",
    "Profile",
    "Provider",
    "ProviderEmail",
    "ReadProfile",
    "claims_profile",
]
