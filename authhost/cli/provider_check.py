"""Whether a provider is set up right: ``authhost providers check NAME``."""

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
    "timeout": "it did not answer in time; is the address right, and does a firewall let it pass?",
    "unreachable": "it could not be reached; is the address right, and does a firewall let it pass?",
    "not_https": "its address is not HTTPS; set server to https://…",
    "redirected": "it answers from another address; set server to exactly what its documentation says",
    "http_error": "there is no discovery document; is server the issuer, with its path?",
    "not_json": "what it answers is no JSON; is server the issuer, with its path?",
    "too_large": "its answer is larger than 1 MiB",
    "encoding": "its answer is compressed in a way that was not asked for",
    "private_address": "an address in its discovery document leads into a private network or to this machine",
    "discovery_malformed": "its discovery document lacks an endpoint, or one is not HTTPS",
    "keys_malformed": "what it publishes as keys is no key set",
    "issuer_mismatch": "its discovery document names another issuer; set server to exactly that one",
    "private_key": "private_key is no PEM of an EC key; copy the whole .p8 file",
    "callback_not_confirmed": "it does not know the callback; register the redirect URI there",
}
PLACEHOLDER = re.compile(r"\{[^}]*\}")
"""In the issuer of Microsoft's ``common`` and ``organizations``, the tenant is left open."""
KNOWN_CLIENT = ("invalid_grant", "bad_verification_code", "invalid_code", "invalid_request")
"""Answers to a code that nobody was given, by a token endpoint that knows the client."""
UNKNOWN_CLIENT = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")


class Finding(NamedTuple):
    """One thing that was looked at."""

    check: str
    result: Literal["ok", "unclear", "error"]
    found: str
    do: str = ""


def findings(host: AuthHost, app: App) -> Iterator[Finding]:
    """All that can be seen without a person; asks the provider."""
    with host.request() as request:
        redirect_uri = request.build_url("social_callback", provider=app.id)
    if is_secure(redirect_uri):
        yield Finding("redirect URI", "ok", redirect_uri, "register exactly this at the provider")
    else:
        yield Finding("redirect URI", "error", redirect_uri, "set base_url to https://…")
    if not (app.settings.client_secret or app.settings.private_key):
        yield Finding("client secret", "unclear", "none is set", "right only for a public client")
    client = host.services.providers.client(app)
    if isinstance(client, OpenIDClient):
        trouble = yield from _discovery(client, app)
        if trouble:
            return
    yield _credentials(client, app, redirect_uri)


def _discovery(client: OpenIDClient, app: App) -> Generator[Finding, None, bool]:
    """Yields findings; returns whether there is no use in going on."""
    try:
        metadata = client.metadata()
        keys = client.keys()
    except (ProviderFailed, InvalidIdToken) as error:
        yield Finding("discovery", "error", app.namespace, _explained(error))
        return True
    yield Finding("discovery", "ok", app.namespace)
    methods = metadata.get("code_challenge_methods_supported")
    methods = methods if isinstance(methods, list) else None
    if methods is None or "S256" in methods:
        yield Finding("PKCE", "ok" if methods else "unclear", "S256" if methods else "it does not say")
    else:
        yield Finding("PKCE", "error", ", ".join(map(str, methods)), "it must support S256 (RFC 9700)")
    offered = metadata.get("id_token_signing_alg_values_supported")
    offered = offered if isinstance(offered, list) else []
    usable = [each for each in offered if isinstance(each, str) and each in ALGORITHMS]
    if usable:
        yield Finding("ID token", "ok", f"{', '.join(usable)}; keys: {len(keys)}")
    else:
        do = "let it sign ID tokens by a key pair, such as RS256, for this client"
        yield Finding("ID token", "error", ", ".join(map(str, offered)) or "no algorithm", do)
    return False


def _credentials(client: ProviderClient[Any], app: App, redirect_uri: str) -> Finding:
    try:
        client.probe(redirect_uri)
    except AuthError as error:
        reason, said = error.fields.get("reason"), str(error.fields.get("error", ""))
        known = reason == "token_refused" and said in KNOWN_CLIENT
        if known and not isinstance(app.declaration, OAuth1Provider):
            return Finding("credentials", "ok", f"a made-up code was refused as {said}")
        if reason == "token_refused" and (
            said in UNKNOWN_CLIENT or isinstance(app.declaration, OAuth1Provider)
        ):
            do = "compare client_id and client_secret with the provider's console"
            return Finding("credentials", "error", said or "refused", do)
        if reason == "http_error":
            status = f"HTTP {error.fields.get('status')}"
            return Finding("credentials", "unclear", status, "its token endpoint is down; try again later")
        if reason in REASONS:
            return Finding("credentials", "error", str(reason), REASONS[str(reason)])
        return Finding("credentials", "unclear", said or str(reason), "try a login")
    return Finding("credentials", "ok", "a request token was given")


def _explained(error: AuthError) -> str:
    reason, issuer = str(error.fields.get("reason")), error.fields.get("found")
    if issuer and PLACEHOLDER.search(issuer):
        return (
            f"its issuer {issuer} names no tenant; use the provider microsoft, or set server to one tenant's"
        )
    if issuer:
        return f"its discovery document names another issuer, {issuer}; set server to exactly that"
    return REASONS.get(reason, reason)


def kind_of(declaration: Any) -> str:
    """The protocol, as people call it."""
    if isinstance(declaration, OpenIDConnectProvider):
        return "OpenID Connect"
    return "OAuth 1.0a" if isinstance(declaration, OAuth1Provider) else "OAuth 2.0"
