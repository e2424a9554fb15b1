"""Declarations of providers of social login, as `register_providers` returns them.

A declaration is data: the host runs the protocol, checks what comes back, and
hands the provider's answers to ``read_profile``. ``{server}`` and ``{tenant}``
in an address are filled from the operator's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ProviderEmail:
    """An address that a provider names, and whether it says that the person owns it."""

    email: str
    verified: bool = False
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as a provider describes them. ``uid`` never changes and is never given to another."""

    uid: str
    emails: tuple[ProviderEmail, ...] = ()
    username: str | None = None
    name: str | None = None
    picture: str | None = None


ReadProfile = Callable[[Mapping[str, Any]], Profile]
"""Reads what a provider answered: the profile, further documents under their names, and under
``token`` what the token endpoint said beside the tokens. A missing key may raise `KeyError`."""


def claims_profile(claims: Mapping[str, Any]) -> Profile:
    """Read OpenID Connect's standard claims (OpenID Connect Core 1.0, section 5.1)."""
    email = claims.get("email")
    verified = claims.get("email_verified") in (True, "true")
    return Profile(
        uid=claims["sub"],
        emails=(ProviderEmail(email, verified, primary=True),) if email else (),
        username=claims.get("preferred_username"),
        name=claims.get("name"),
        picture=claims.get("picture"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Provider:
    """A provider that speaks OAuth 2.0 (RFC 6749), with PKCE (RFC 7636)."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``; what the operator's settings refer to."""
    name: str
    """What people call it."""
    authorize_url: str
    token_url: str
    profile_url: str
    read_profile: ReadProfile
    scopes: tuple[str, ...] = ()
    """What is asked for unless the operator sets something else: no more than a login needs."""
    more_urls: Mapping[str, str] = field(default_factory=dict)
    """Further documents that ``read_profile`` wants, by name; a 404 is read as an empty list."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What ``{server}`` and ``{tenant}`` are where the operator sets nothing else."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the authorization endpoint, too."""
    pkce: bool = True
    """False for a provider that refuses PKCE; the state alone then binds the answer to the browser."""
    scope_separator: str = " "
    credentials: Literal["body", "basic"] = "body"
    """How the token endpoint wants the client's id and secret (RFC 6749, section 2.3.1)."""
    client_id_name: str = "client_id"
    client_secret_name: str = "client_secret"
    token_method: Literal["POST", "GET"] = "POST"
    profile_method: Literal["GET", "POST"] = "GET"
    token_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the token endpoint, too; ``{name}`` is filled from the parameters of the callback."""
    refresh_url: str = ""
    """Where a token is refreshed, if not at ``token_url``."""
    token_in: Literal["header", "query", "body"] = "header"
    """How the profile's address wants the access token (RFC 6750); ``body`` is a POST."""
    profile_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the profile's address; ``{name}`` is filled from the answer of the token endpoint."""
    profile_headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the token's and the profile's request; ``{client_id}`` is filled in."""
    trusts_emails: bool = True
    """Whether its word that an address is verified counts, unless the operator says otherwise."""
    docs: str = ""
    """Where an operator gets a client id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIDConnectProvider:
    """A provider that speaks OpenID Connect: all but the issuer comes from its discovery document."""

    id: str
    name: str
    issuer: str = "{server}"
    """Its issuer identifier; by default all of it is the operator's setting ``server``."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    read_profile: ReadProfile = claims_profile
    """Reads the claims of the ID token, and over them those of the userinfo endpoint."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    userinfo: bool = True
    """Whether the userinfo endpoint is asked, where there is one."""
    signed_secret: bool = False
    """The client's secret is a JWT signed by a key of the operator's (Apple)."""
    trusts_emails: bool = True
    docs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth1Provider:
    """A provider that speaks OAuth 1.0a (RFC 5849)."""

    id: str
    name: str
    request_token_url: str
    authorize_url: str
    access_token_url: str
    profile_url: str
    read_profile: ReadProfile
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    profile_params: Mapping[str, str] = field(default_factory=dict)
    trusts_emails: bool = True
    docs: str = ""


Provider = OAuth1Provider | OAuth2Provider | OpenIDConnectProvider
"""A declaration of any kind."""

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
