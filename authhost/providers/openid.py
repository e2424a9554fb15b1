"""OpenID Connect Core 1.0 with Discovery 1.0: OAuth 2.0 with an ID token that is validated completely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import jwt
from authhost_hookspecs import OpenIDConnectProvider

from authhost.errors import InvalidIdToken, ProviderFailed
from authhost.providers.addresses import (
    AddressSpace,
    host_of,
    is_secure,
    names_this_machine,
    resolved_address_space,
)
from authhost.providers.app import App
from authhost.providers.authorize_params import ANY_DOMAIN, HOSTED_DOMAIN
from authhost.providers.client import (
    NO_PARAMS,
    PROBE_CODE,
    USER_FIELD,
    AuthorizationRequest,
    ProviderClient,
    ProviderResponse,
    parse_posted_user,
    parse_token,
    read_profile,
)
from authhost.providers.failure_cache import FailureCache
from authhost.providers.http import check_storable, fetch_json, parse_json, send_request
from authhost.providers.id_token import verify_id_token, verify_userinfo
from authhost.providers.oauth2 import authorization_request
from authhost.providers.token_endpoint import TokenEndpoint
from authhost.providers.transport import last_address_space
from authhost.records import SocialToken
from authhost.security.keys import new_key, same

KeySet = list[Mapping[str, Any]]

CACHE_SECONDS = 3600.0
"""How long the discovery document and the keys are cached."""
KEY_REFETCH_INTERVAL = 60.0
"""Seconds between two requests for the keys because of an unknown key id."""
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
USERINFO = "userinfo_endpoint"
PROTOCOL_CLAIMS = frozenset(
    {"aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid", "auth_time"}
)
SIGNED_SECRET_LIFETIME = 300
"""Seconds."""


class OpenIDClient(ProviderClient[OpenIDConnectProvider]):
    """The authorization code flow. Caches the provider's discovery document and keys."""

    def __init__(self, app: App, declaration: OpenIDConnectProvider, clock: Callable[[], datetime]) -> None:
        super().__init__(app, declaration, clock)
        self._metadata: Mapping[str, Any] | None = None
        self._metadata_at = self._keys_at = 0.0
        self._keys: KeySet = []
        # An endpoint in the discovery document may not be less public than the issuer itself.
        self._min_address_space = AddressSpace.PUBLIC
        self._failures = FailureCache(clock)

    # What the flows call.

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NO_PARAMS,
        hosted_domain: str | None = None,
    ) -> AuthorizationRequest:
        """Prepare the redirect, with a nonce (Core 1.0, section 3.1.2.1)."""
        nonce = new_key()
        params = {**self._app.authorize_params, **params, "nonce": nonce}
        if hosted_domain is not None:
            params[HOSTED_DOMAIN] = hosted_domain
        url = self.metadata()["authorization_endpoint"]
        scope = " ".join(self._app.scopes)
        authorization = authorization_request(self._app, url, redirect_uri, state, scope, params)
        secrets = {**authorization.secrets, "nonce": nonce}
        if hosted_domain is not None:
            secrets[HOSTED_DOMAIN] = hosted_domain
        return authorization._replace(secrets=secrets)

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """Check the parameter ``iss`` of the callback (RFC 9207); raises `InvalidIdToken`.

        It is required if the discovery document says that the provider sends it.
        """
        issuer = params.get("iss")
        required = self.metadata().get("authorization_response_iss_parameter_supported") is True
        if (issuer is None and required) or (issuer is not None and issuer != self._app.namespace):
            raise InvalidIdToken(reason="issuer_mismatch")

    def complete(
        self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ProviderResponse:
        """Exchange the code for tokens, validate the ID token, and request the remaining claims."""
        fields = self._token_endpoint().exchange(redirect_uri, params, secrets["verifier"])
        token = parse_token(fields, self._clock())
        claims = self._verify_id_token(fields.get("id_token"), token)
        if not same(str(claims.get("nonce", "")), secrets["nonce"]):
            raise InvalidIdToken(reason="nonce")
        _check_hosted_domain(claims, secrets.get(HOSTED_DOMAIN))
        data = merge_claims(claims, self._userinfo(token, claims["sub"]))
        user = parse_posted_user(params.get(USER_FIELD)) if self._declaration.posts_user else None
        if user is not None:
            data.setdefault(USER_FIELD, user)
        try:
            check_storable(data)
        except (ValueError, RecursionError):
            raise ProviderFailed(reason="profile_malformed") from None
        return ProviderResponse(read_profile(self._app, data), data, token, self._app.factors(claims))

    def probe(self, redirect_uri: str) -> None:
        """Send an invalid code to the token endpoint."""
        self._token_endpoint().exchange(redirect_uri, {"code": PROBE_CODE}, new_key())

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """Return a new access token.

        If an ID token comes with it, its subject must be ``sub`` (Core 1.0, section
        12.2); raises `InvalidIdToken` otherwise.
        """
        fields = self._token_endpoint().refresh(token)
        fresh, id_token = parse_token(fields, self._clock()), fields.get("id_token")
        if id_token is not None and self._verify_id_token(id_token, fresh)["sub"] != sub:
            raise InvalidIdToken(reason="sub")
        return fresh

    # The discovery document and the keys.

    def metadata(self) -> Mapping[str, Any]:
        """Return the discovery document (Discovery 1.0, section 4), from the cache if it is fresh."""
        if self._metadata is None or monotonic() - self._metadata_at > CACHE_SECONDS:
            self._failures.call("discovery", self._fetch_metadata)
        assert self._metadata is not None
        return self._metadata

    def _fetch_metadata(self) -> None:
        issuer = self._app.namespace
        last_address_space(reset=True)
        found = _fetch_document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        space = last_address_space()
        if found.get("issuer") != issuer:
            raise InvalidIdToken(reason="issuer_mismatch", found=_printable(found.get("issuer")))
        for name in (*ENDPOINTS, *([USERINFO] if found.get(USERINFO) is not None else [])):
            url = found.get(name)
            if not isinstance(url, str) or not is_secure(url):
                raise ProviderFailed(reason="discovery_malformed")
            # Server-side request forgery: a remote issuer must not make us connect to this machine.
            if names_this_machine(url) and not names_this_machine(issuer):
                raise ProviderFailed(reason="discovery_malformed")
            other_host = host_of(url) != host_of(issuer) and name != "authorization_endpoint"
            if other_host and space > AddressSpace.LOOPBACK and resolved_address_space(url) < space:
                raise ProviderFailed(reason="private_address")
        self._min_address_space = space
        self._metadata, self._metadata_at = found, monotonic()

    def keys(self) -> KeySet:
        """Return the keys that sign ID tokens (RFC 7517), from the cache if they are fresh."""
        if not self._keys or monotonic() - self._keys_at > CACHE_SECONDS:
            self._refetch_keys()
        return self._keys

    def _refetch_keys(self) -> None:
        self._failures.call("keys", self._fetch_keys)

    def _fetch_keys(self) -> None:
        url = self.metadata()["jwks_uri"]
        found = _fetch_document(url, self._min_address_space).get("keys")
        if not isinstance(found, list):
            raise ProviderFailed(reason="keys_malformed")
        self._keys = [each for each in found if isinstance(each, Mapping)]
        self._keys_at = monotonic()

    def _verify_id_token(self, id_token: object, token: SocialToken) -> Mapping[str, Any]:
        """Return the claims of an ID token; raises `InvalidIdToken`."""
        return self._verify_with_keys(
            lambda keys: verify_id_token(
                id_token,
                keys,
                issuer=self._app.namespace,
                client_id=self._app.settings.client_id,
                access_token=token.reveal(),
                now=self._clock(),
            )
        )

    def _verify_with_keys(self, verify: Callable[[KeySet], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return what ``verify`` returns. After an unknown key id, fetch the keys again and repeat once."""
        try:
            return verify(self.keys())
        except InvalidIdToken as error:
            recent = monotonic() - self._keys_at < KEY_REFETCH_INTERVAL
            if error.fields["reason"] != "unknown_key" or recent:
                raise
        self._refetch_keys()
        return verify(self.keys())

    # The token endpoint and the userinfo endpoint.

    def _token_endpoint(self) -> TokenEndpoint:
        metadata, settings = self.metadata(), self._app.settings
        supported = metadata.get("token_endpoint_auth_methods_supported")
        supported = supported if isinstance(supported, list) and supported else ["client_secret_basic"]
        signed, configured = self._declaration.signed_secret, self._app.sends_secret_by_basic
        basic = "client_secret_basic" in supported if configured is None else configured
        return TokenEndpoint(
            metadata["token_endpoint"],
            settings.client_id,
            self._signed_secret() if signed else settings.client_secret,
            basic=basic and not signed,
            min_address_space=self._min_address_space,
        )

    def _signed_secret(self) -> str:
        """Return a client secret that is a JWT, as Apple requires; raises `ProviderFailed`."""
        settings, now = self._app.settings, int(self._clock().timestamp())
        claims = {
            "iss": settings.team_id,
            "sub": settings.client_id,
            "aud": self._app.namespace,
            "iat": now,
            "exp": now + SIGNED_SECRET_LIFETIME,
        }
        try:
            return jwt.encode(claims, settings.private_key, "ES256", {"kid": settings.key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ProviderFailed(reason="private_key") from None

    def _userinfo(self, token: SocialToken, sub: str) -> Mapping[str, Any]:
        """Return the claims of the userinfo endpoint about ``sub``, or none if it is not used."""
        url = self.metadata().get(USERINFO)
        if url is None or not self._declaration.userinfo:
            return {}
        bearer = {"Authorization": f"Bearer {token.reveal()}"}
        response = send_request("GET", url, headers=bearer, min_address_space=self._min_address_space)
        if response.ok and response.headers.get("Content-Type", "").lower().startswith("application/jwt"):
            app = self._app
            claims = self._verify_with_keys(
                lambda keys: verify_userinfo(
                    response.text.strip(), keys, issuer=app.namespace, client_id=app.settings.client_id
                )
            )
        else:
            claims = parse_json(response)
        if not isinstance(claims, dict):
            raise ProviderFailed(reason="profile_malformed")
        if claims.get("sub") != sub:
            raise InvalidIdToken(reason="sub")
        return claims


def _check_hosted_domain(claims: Mapping[str, Any], required: str | None) -> None:
    """Check the claim ``hd``; raises `InvalidIdToken`.

    The person's browser can remove the parameter ``hd`` from the request. Only the
    ID token proves the domain.
    """
    if required is None:
        return
    found = claims.get(HOSTED_DOMAIN)
    domain = found.casefold() if isinstance(found, str) else ""
    if not domain or required.casefold() not in (ANY_DOMAIN, domain):
        raise InvalidIdToken("Please choose an account of your organisation.", reason="hosted_domain")


def merge_claims(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims about the person: those of userinfo replace the ID token's (Core 1.0, section 5.3.2).

    A null means that the claim is not returned. ``email_verified`` applies to the
    address in the same document. It applies to the other document's address only if
    that is the same address.
    """
    from_id_token = {name: value for name, value in claims.items() if name not in PROTOCOL_CLAIMS}
    from_userinfo = {name: value for name, value in userinfo.items() if value is not None}
    if "email" not in from_userinfo:
        from_userinfo.pop("email_verified", None)
    elif from_userinfo["email"] != from_id_token.get("email"):
        from_id_token.pop("email_verified", None)
    return {**from_id_token, **from_userinfo, "iss": claims["iss"], "sub": claims["sub"]}


def _printable(value: object) -> str:
    return "".join(each for each in str(value)[:200] if each.isascii() and each.isprintable())


def _fetch_document(url: str, min_address_space: AddressSpace = AddressSpace.LOOPBACK) -> Mapping[str, Any]:
    found = fetch_json(url, min_address_space)
    if not isinstance(found, dict):
        raise ProviderFailed(reason="discovery_malformed")
    return found
