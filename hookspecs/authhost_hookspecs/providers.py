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
    """The address, as the provider writes it."""
    verified: bool = False
    """Whether the provider says, in this document, that the person owns it."""
    primary: bool = False
    """Whether the provider prefers it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as a provider describes them. ``uid`` never changes and is never given to another."""

    uid: str
    """The identifier at the provider, of 1 to 255 printable characters."""
    emails: tuple[ProviderEmail, ...] = ()
    """The addresses that the provider names."""
    username: str | None = None
    """What the person is called there."""
    name: str | None = None
    """The whole name, for people."""
    picture: str | None = None
    """The address of a picture."""


ReadProfile = Callable[[Mapping[str, Any]], Profile]
"""Reads what a provider answered: the profile, further documents under their names, and under
``token`` what the token endpoint said beside the tokens. A missing key may raise `KeyError`."""


def claims_profile(claims: Mapping[str, Any]) -> Profile:
    """Read OpenID Connect's standard claims (OpenID Connect Core 1.0, section 5.1).

    A claim of another type than the standard's is read as if it were missing.
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
    """Lower-case letters, digits, ``-`` and ``_``; what the operator's settings refer to."""
    name: str
    """What people call it."""
    authorize_url: str
    """Where the browser is sent (RFC 6749, section 3.1)."""
    token_url: str
    """Where the code becomes a token (RFC 6749, section 3.2)."""
    profile_url: str
    """Where the person is described, in JSON."""
    read_profile: ReadProfile
    """Reads what was answered."""
    scopes: tuple[str, ...] = ()
    """What is asked for unless the operator sets something else: no more than a login needs."""
    more_urls: Mapping[str, str] = field(default_factory=dict)
    """Further documents that ``read_profile`` wants, by name. Where the provider answers 403 or 404,
    it is an empty list."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What ``{server}`` and ``{tenant}`` are where the operator sets nothing else."""
    uids_span_tenants: bool = False
    """True where a uid is unique over all tenants. Otherwise a uid counts within its tenant only.
    Since contract 1.1."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the authorization endpoint, too."""
    scope_separator: str = " "
    """What stands between two scopes."""
    pkce: bool = True
    """False for a provider that refuses PKCE; the state alone then binds the answer to the browser."""
    credentials: Literal["body", "basic"] = "body"
    """How the token endpoint wants the client's id and secret (RFC 6749, section 2.3.1)."""
    client_id_name: str = "client_id"
    """What the provider calls the client's id."""
    client_secret_name: str = "client_secret"
    """What the provider calls the client's secret."""
    token_method: Literal["POST", "GET"] = "POST"
    """How the token endpoint is asked."""
    token_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the token endpoint, too; ``{name}`` is filled from the parameters of the callback."""
    refresh_url: str = ""
    """Where a token is refreshed, if not at ``token_url``."""
    token_in: Literal["header", "query", "body"] = "header"
    """How the profile's address wants the access token (RFC 6750); ``body`` is a POST."""
    profile_method: Literal["GET", "POST"] = "GET"
    """How the profile's address is asked."""
    profile_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the profile's address; ``{name}`` is filled from the answer of the token endpoint."""
    profile_headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the token's and the profile's request; ``{client_id}`` is filled in."""
    trusts_emails: bool = True
    """Whether its word that an address is verified counts, unless the operator says otherwise.
    It never counts for a ``{server}`` that is not the default one, unless the operator says so."""
    docs: str = ""
    """Where an operator gets a client id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIDConnectProvider:
    """A provider that speaks OpenID Connect: all but the issuer comes from its discovery document."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``; what the operator's settings refer to."""
    name: str
    """What people call it."""
    issuer: str = "{server}"
    """Its issuer identifier; by default all of it is the operator's setting ``server``."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What is asked for unless the operator sets something else."""
    read_profile: ReadProfile = claims_profile
    """Reads the claims of the ID token, and over them those of the userinfo endpoint."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the authorization endpoint, too."""
    userinfo: bool = True
    """Whether the userinfo endpoint is asked, where there is one."""
    signed_secret: bool = False
    """The client's secret is a JWT signed by a key of the operator's (Apple)."""
    posts_user: bool = False
    """True where the first answer brings a form field ``user`` with the person's name (Apple). It is
    not signed. ``read_profile`` finds the name under ``user``, and so do later logins.
    Since contract 1.1."""
    trusts_emails: bool = True
    """Whether its word that an address is verified counts, unless the operator says otherwise.
    It never counts where ``issuer`` has ``{server}`` in it, unless the operator says so."""
    docs: str = ""
    """Where an operator gets a client id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth1Provider:
    """A provider that speaks OAuth 1.0a (RFC 5849)."""

    id: str
    """Lower-case letters, digits, ``-`` and ``_``; what the operator's settings refer to."""
    name: str
    """What people call it."""
    request_token_url: str
    """Where a request token is given (RFC 5849, section 2.1)."""
    authorize_url: str
    """Where the browser is sent (section 2.2)."""
    access_token_url: str
    """Where the request token becomes an access token (section 2.3)."""
    profile_url: str
    """Where the person is described, in JSON."""
    read_profile: ReadProfile
    """Reads what was answered."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Sent along with the browser."""
    profile_params: Mapping[str, str] = field(default_factory=dict)
    """Sent to the profile's address."""
    trusts_emails: bool = True
    """Whether its word that an address is verified counts, unless the operator says otherwise."""
    docs: str = ""
    """Where an operator gets a client id."""


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
