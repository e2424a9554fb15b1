"""Check the configuration of a provider: ``authhost providers check NAME``."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from authhost_hookspecs import OAuth1Provider, OpenIDConnectProvider

from authhost.errors import AuthError, InvalidIdToken, ProviderFailed
from authhost.host import AuthHost
from authhost.providers.addresses import is_secure
from authhost.providers.app import App
from authhost.providers.client import ProviderClient
from authhost.providers.id_token import ALGORITHMS
from authhost.providers.openid import OpenIDClient

REASONS: Mapping[str, str] = {
    "timeout": "it did not answer in time; check its address and the firewall",
    "unreachable": "it cannot be reached; check its address and the firewall",
    "not_https": "its URL is not HTTPS; set server to https://…",
    "redirected": "it redirects to another URL; set server to exactly the URL in its documentation",
    "http_error": "it has no discovery document; set server to the issuer, including its path",
    "not_json": "its response is not JSON; set server to the issuer, including its path",
    "too_large": "its response is larger than 1 MiB",
    "encoding": "its response is compressed, although it was requested uncompressed",
    "private_address": "a URL in its discovery document leads into a private network or to this machine",
    "discovery_malformed": "an endpoint in its discovery document is missing or not HTTPS",
    "keys_malformed": "its jwks_uri does not return a key set",
    "issuer_mismatch": "its discovery document names another issuer; set server to exactly that one",
    "private_key": "private_key is not an EC key in PEM format; copy the whole .p8 file",
    "callback_not_confirmed": "it does not know the callback; register the redirect URI at the provider",
}
PLACEHOLDER = re.compile(r"\{[^}]*\}")
"""The issuer of Microsoft's ``common`` and ``organizations`` has a placeholder for the tenant."""
CODE_ERRORS = ("invalid_grant", "bad_verification_code", "invalid_code", "invalid_request")
"""Errors for an invalid code. They show that the token endpoint has accepted the client credentials."""
CLIENT_ERRORS = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")


class Finding(NamedTuple):
    """The result of one check."""

    check: str
    result: Literal["ok", "unclear", "error"]
    found: str
    do: str = ""


def findings(host: AuthHost, app: App) -> Iterator[Finding]:
    """Yield the results of all checks that require no login. Sends requests to the provider."""
    with host.request() as request:
        redirect_uri = request.build_url("social_callback", provider=app.id)
    if is_secure(redirect_uri):
        yield Finding("redirect URI", "ok", redirect_uri, "register exactly this URI at the provider")
    else:
        yield Finding("redirect URI", "error", redirect_uri, "set base_url to https://…")
    if not (app.settings.client_secret or app.settings.private_key):
        yield Finding(
            "client secret", "unclear", "none is set", "set client_secret, unless the client is public"
        )
    client = host.services.providers.client(app)
    if isinstance(client, OpenIDClient):
        failed = yield from _check_discovery(client, app)
        if failed:
            return
    yield _check_credentials(client, app, redirect_uri)


def _check_discovery(client: OpenIDClient, app: App) -> Generator[Finding, None, bool]:
    """Yield findings; return whether discovery failed, so that no other check is possible."""
    try:
        metadata = client.metadata()
        keys = client.keys()
    except (ProviderFailed, InvalidIdToken) as error:
        yield Finding("discovery", "error", app.namespace, _explain(error))
        return True
    yield Finding("discovery", "ok", app.namespace)
    methods = metadata.get("code_challenge_methods_supported")
    methods = methods if isinstance(methods, list) else None
    if methods is None or "S256" in methods:
        yield Finding(
            "PKCE",
            "ok" if methods else "unclear",
            "S256" if methods else "not in discovery",
        )
    else:
        yield Finding("PKCE", "error", ", ".join(map(str, methods)), "it must support S256 (RFC 9700)")
    supported = metadata.get("id_token_signing_alg_values_supported")
    supported = supported if isinstance(supported, list) else []
    usable = [each for each in supported if isinstance(each, str) and each in ALGORITHMS]
    if usable:
        yield Finding("ID token", "ok", f"{', '.join(usable)}; keys: {len(keys)}")
    else:
        do = "configure it to sign the ID tokens of this client with a key pair, such as RS256"
        yield Finding("ID token", "error", ", ".join(map(str, supported)) or "no algorithm", do)
    return False


def _check_credentials(client: ProviderClient[Any], app: App, redirect_uri: str) -> Finding:
    try:
        client.probe(redirect_uri)
    except AuthError as error:
        reason, error_code = error.fields.get("reason"), str(error.fields.get("error", ""))
        credentials_ok = reason == "token_refused" and error_code in CODE_ERRORS
        if credentials_ok and not isinstance(app.declaration, OAuth1Provider):
            return Finding("credentials", "ok", f"an invalid code was refused as {error_code}")
        if reason == "token_refused" and (
            error_code in CLIENT_ERRORS or isinstance(app.declaration, OAuth1Provider)
        ):
            do = "compare client_id and client_secret with the provider's console"
            return Finding("credentials", "error", error_code or "refused", do)
        if reason == "http_error":
            status = f"HTTP {error.fields.get('status')}"
            return Finding("credentials", "unclear", status, "its token endpoint is down; try again later")
        if reason in REASONS:
            return Finding("credentials", "error", str(reason), REASONS[str(reason)])
        return Finding("credentials", "unclear", error_code or str(reason), "try a login")
    return Finding("credentials", "ok", "a request token was given")


def _explain(error: AuthError) -> str:
    reason, issuer = str(error.fields.get("reason")), error.fields.get("found")
    if issuer and PLACEHOLDER.search(issuer):
        return (
            f"its issuer {issuer} has no tenant; use the provider microsoft, or set server to one of a tenant"
        )
    if issuer:
        return f"its discovery document names another issuer, {issuer}; set server to exactly that"
    return REASONS.get(reason, reason)


def kind_of(declaration: Any) -> str:
    """Return the name of the protocol of a declaration."""
    if isinstance(declaration, OpenIDConnectProvider):
        return "OpenID Connect"
    return "OAuth 1.0a" if isinstance(declaration, OAuth1Provider) else "OAuth 2.0"
