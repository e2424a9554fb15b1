"""A configured provider: its declaration together with the operator's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from authhost_hookspecs import Factor, OAuth1Provider, OAuth2Provider, OpenIDConnectProvider, Provider

PLACEHOLDER = re.compile(r"\{(server|tenant)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """The settings of a provider, in ``[providers.NAME]``."""

    client_id: str
    """The client id that the provider has given this application."""
    client_secret: str = field(default="", repr=False)
    """The client secret; empty for a public client."""
    provider: str = ""
    """The id of the declaration, such as ``google``. Default: NAME."""
    name: str = ""
    """The name that pages show for the provider. Default: that of the declaration."""
    server: str = ""
    """The issuer, or the address of a self-hosted server."""
    tenant: str = ""
    """The tenant or realm, if the provider has them."""
    scopes: tuple[str, ...] | None = None
    """The scopes to request, instead of those of the declaration."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Parameters added to the authorization request, such as ``access_type = "offline"``.
    An empty text removes a parameter. With ``hd``, the ID token must name that domain."""
    token_endpoint_auth_method: Literal["", "client_secret_basic", "client_secret_post"] = ""
    """How the client secret is sent. Default: as the declaration or the discovery document says."""
    trust_emails: bool | None = None
    """Whether addresses that the provider marks as verified count as verified. Default: as the
    declaration says for the provider's own server; another ``server`` is not trusted."""
    login_by_email: bool = False
    """Whether a person is connected to the local account that has one of their verified addresses."""
    multi_factor_acr: tuple[str, ...] = ()
    """OpenID only: values of the claim ``acr`` of the ID token with which the provider says that the
    person has proved two factors, such as ``http://schemas.openid.net/pape/policies/2007/06/multi-factor``."""
    multi_factor_amr: tuple[str, ...] = ()
    """OpenID only: the same for the values in the claim ``amr``, such as ``mfa`` (RFC 8176)."""
    team_id: str = ""
    """Apple only: the id of the team that signs the client secret."""
    key_id: str = ""
    """Apple only: the id of the key that signs the client secret."""
    private_key: str = field(default="", repr=False)
    """Apple only: the private key, as PEM."""


@dataclass(frozen=True, slots=True)
class App:
    """A configured provider."""

    id: str
    declaration: Provider
    settings: ProviderSettings

    @property
    def name(self) -> str:
        """The name for people, such as ``Google``."""
        return self.settings.name or self.declaration.name

    @property
    def trusts_emails(self) -> bool:
        """Whether addresses that the provider marks as verified count as verified.

        The setting ``trust_emails`` decides. If it is not set, the declaration decides
        for its default server only: the operator of another server decides there
        which addresses are verified (OpenID Connect Core 1.0, section 5.7).
        """
        trusts = self.settings.trust_emails
        return self.declaration.trusts_emails and not self._has_other_server if trusts is None else trusts

    def factors(self, claims: Mapping[str, Any]) -> tuple[Factor, ...]:
        """Return what the person has proved at the provider, by the claims of a verified ID token.

        Nothing is known of it unless the operator maps the provider's ``acr`` or ``amr`` (OpenID
        Connect Core 1.0, section 2).
        """
        acr, amr = claims.get("acr"), claims.get("amr")
        methods = {each for each in amr if isinstance(each, str)} if isinstance(amr, list) else set()
        is_mapped = isinstance(acr, str) and acr in self.settings.multi_factor_acr
        if is_mapped or not methods.isdisjoint(self.settings.multi_factor_amr):
            return ("knowledge", "possession")
        return ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes to request."""
        if self.settings.scopes is not None:
            return self.settings.scopes
        return () if isinstance(self.declaration, OAuth1Provider) else self.declaration.scopes

    @property
    def authorize_params(self) -> dict[str, str]:
        """The parameters of the authorization request besides those of the protocol."""
        return {**self.declaration.authorize_params, **self.settings.authorize_params}

    @property
    def sends_secret_by_basic(self) -> bool | None:
        """Whether the settings choose HTTP Basic for the client secret; None if they choose nothing."""
        method = self.settings.token_endpoint_auth_method
        return method == "client_secret_basic" if method else None

    @property
    def namespace(self) -> str:
        """The namespace in which a uid is unique: the issuer, or the id with the server and the tenant.

        It contains neither a server or tenant that is the declaration's default, nor
        the tenant if the provider's uids are unique over all tenants.
        """
        declaration, settings = self.declaration, self.settings
        if isinstance(declaration, OpenIDConnectProvider):
            return self.url(declaration.issuer)
        if not isinstance(declaration, OAuth2Provider):
            return declaration.id
        namespace, defaults = declaration.id, declaration.defaults
        if settings.server not in ("", defaults.get("server")):
            namespace += f":{settings.server.rstrip('/')}"
        uids_per_tenant = not declaration.uids_span_tenants and "tenant" in self._placeholders
        if uids_per_tenant and settings.tenant not in ("", defaults.get("tenant")):
            namespace += f";tenant={quote(settings.tenant, safe='')}"
        return namespace

    @property
    def _has_other_server(self) -> bool:
        """Whether the setting ``server`` is used and differs from the declaration's default."""
        declaration, server = self.declaration, self.settings.server.rstrip("/")
        defaults = declaration.defaults if isinstance(declaration, OAuth2Provider) else {}
        return "server" in self._placeholders and server not in ("", defaults.get("server", "").rstrip("/"))

    def url(self, template: str) -> str:
        """Return a URL of the declaration with ``{server}`` and ``{tenant}`` replaced."""
        defaults = self.declaration.defaults if isinstance(self.declaration, OAuth2Provider) else {}

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return str(getattr(self.settings, name) or defaults.get(name, ""))

        return PLACEHOLDER.sub(fill, template)

    def missing_settings(self) -> Iterator[str]:
        """Yield the names of settings that the declaration requires and that are not set."""
        declaration = self.declaration
        if isinstance(declaration, OpenIDConnectProvider) and declaration.signed_secret:
            yield from (each for each in ("team_id", "key_id", "private_key") if not self._has(each))
        defaults = declaration.defaults if isinstance(declaration, OAuth2Provider) else {}
        yield from sorted(name for name in self._placeholders if not self._has(name) and name not in defaults)

    @property
    def _placeholders(self) -> set[str]:
        """Those of ``server`` and ``tenant`` that occur in the declaration's URLs."""
        declaration = self.declaration
        if isinstance(declaration, OpenIDConnectProvider):
            templates = [declaration.issuer]
        elif isinstance(declaration, OAuth2Provider):
            addresses = (declaration.authorize_url, declaration.token_url, declaration.profile_url)
            templates = [*addresses, declaration.refresh_url, *declaration.more_urls.values()]
        else:
            templates = []
        return {match[1] for template in templates for match in PLACEHOLDER.finditer(template)}

    def _has(self, name: str) -> bool:
        return bool(getattr(self.settings, name))
