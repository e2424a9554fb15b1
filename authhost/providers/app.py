"""One provider as it is set up here: its declaration, and who we are to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from authhost_hookspecs import OAuth1Provider, OAuth2Provider, OpenIDConnectProvider, Provider

PLACE = re.compile(r"\{(server|tenant)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """What an operator sets for a provider, in ``[providers.NAME]``."""

    client_id: str
    """What the provider calls this application."""
    client_secret: str = field(default="", repr=False)
    """Its password there; empty for a public client."""
    provider: str = ""
    """Which declaration it is, such as ``google``; unless set, NAME."""
    server: str = ""
    """The issuer, or the address of a server that people run themselves."""
    tenant: str = ""
    """The tenant or realm, where the provider has them."""
    scopes: tuple[str, ...] | None = None
    """What is asked for, in place of what the declaration says."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Sent along with the browser, such as ``access_type = "offline"``; an empty text takes one out.
    With ``hd`` the ID token must name that domain."""
    token_endpoint_auth_method: Literal["", "client_secret_basic", "client_secret_post"] = ""
    """How the secret is sent; unless set, as the declaration or the discovery document says."""
    trust_emails: bool | None = None
    """Whether the provider's word that an address is verified counts. Unless set, the declaration
    decides for the provider's own server; another ``server`` is not trusted."""
    login_by_email: bool = False
    """A person with a verified address of a local account is connected to that account."""
    team_id: str = ""
    """Apple: the team that signs the secret."""
    key_id: str = ""
    """Apple: the key that signs the secret."""
    private_key: str = field(default="", repr=False)
    """Apple: that key, as PEM."""


@dataclass(frozen=True, slots=True)
class App:
    """One provider as it is set up here."""

    id: str
    declaration: Provider
    settings: ProviderSettings

    @property
    def trusts_emails(self) -> bool:
        """Whether the provider's word that an address is verified counts.

        ``trust_emails`` decides. Where it is not set, the declaration speaks for
        its default server alone: on another server somebody else decides which
        addresses count as verified (OpenID Connect Core 1.0, section 5.7).
        """
        trusts = self.settings.trust_emails
        return self.declaration.trusts_emails and not self._has_other_server if trusts is None else trusts

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for."""
        if self.settings.scopes is not None:
            return self.settings.scopes
        return () if isinstance(self.declaration, OAuth1Provider) else self.declaration.scopes

    @property
    def authorize_params(self) -> dict[str, str]:
        """What is sent to the authorization endpoint beside what the protocol sends."""
        return {**self.declaration.authorize_params, **self.settings.authorize_params}

    @property
    def sends_secret_by_basic(self) -> bool | None:
        """Whether the operator has chosen HTTP Basic for the client's secret; None for no choice."""
        method = self.settings.token_endpoint_auth_method
        return method == "client_secret_basic" if method else None

    @property
    def namespace(self) -> str:
        """In which a uid is unique: the issuer, or the id with the server and the tenant.

        A server or tenant that is the declaration's default is left out. So is
        every tenant of a declaration whose uids are unique over all tenants.
        """
        declaration, settings = self.declaration, self.settings
        if isinstance(declaration, OpenIDConnectProvider):
            return self.url(declaration.issuer)
        if not isinstance(declaration, OAuth2Provider):
            return declaration.id
        found, defaults = declaration.id, declaration.defaults
        if settings.server not in ("", defaults.get("server")):
            found += f":{settings.server.rstrip('/')}"
        own = not declaration.uids_span_tenants and "tenant" in self._placeholders
        if own and settings.tenant not in ("", defaults.get("tenant")):
            found += f";tenant={quote(settings.tenant, safe='')}"
        return found

    @property
    def _has_other_server(self) -> bool:
        """Whether the declaration takes a server, and the operator has set another than its default."""
        declaration, server = self.declaration, self.settings.server.rstrip("/")
        defaults = declaration.defaults if isinstance(declaration, OAuth2Provider) else {}
        return "server" in self._placeholders and server not in ("", defaults.get("server", "").rstrip("/"))

    def url(self, template: str) -> str:
        """An address of the declaration with ``{server}`` and ``{tenant}`` filled in."""
        defaults = self.declaration.defaults if isinstance(self.declaration, OAuth2Provider) else {}

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return str(getattr(self.settings, name) or defaults.get(name, ""))

        return PLACE.sub(fill, template)

    def needs(self) -> Iterator[str]:
        """The settings that the declaration's addresses need and that are missing."""
        declaration = self.declaration
        if isinstance(declaration, OpenIDConnectProvider) and declaration.signed_secret:
            yield from (each for each in ("team_id", "key_id", "private_key") if not self._has(each))
        defaults = declaration.defaults if isinstance(declaration, OAuth2Provider) else {}
        yield from sorted(name for name in self._placeholders if not self._has(name) and name not in defaults)

    @property
    def _placeholders(self) -> set[str]:
        """Which of ``server`` and ``tenant`` the declaration's addresses name."""
        declaration = self.declaration
        if isinstance(declaration, OpenIDConnectProvider):
            templates = [declaration.issuer]
        elif isinstance(declaration, OAuth2Provider):
            addresses = (declaration.authorize_url, declaration.token_url, declaration.profile_url)
            templates = [*addresses, declaration.refresh_url, *declaration.more_urls.values()]
        else:
            templates = []
        return {match[1] for template in templates for match in PLACE.finditer(template)}

    def _has(self, name: str) -> bool:
        return bool(getattr(self.settings, name))
