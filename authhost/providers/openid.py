"""OpenID Connect Core 1.0 with Discovery 1.0: OAuth 2.0, and an ID token that is checked whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import jwt
from authhost_hookspecs import OpenIDConnectProvider

from authhost.errors import InvalidIdToken, ProviderFailed
from authhost.providers.app import App
from authhost.providers.authorize import ANY_DOMAIN, HOSTED_DOMAIN
from authhost.providers.client import (
    MADE_UP_CODE,
    NONE,
    USER,
    Answer,
    Begun,
    make_token,
    posted_user,
    read_profile,
)
from authhost.providers.failures import RecentFailures
from authhost.providers.http import (
    Zone,
    as_json,
    ask,
    host_of,
    is_secure,
    leads_here,
    published,
    storable,
    zone_of_name,
    zone_reached,
)
from authhost.providers.idtoken import verify, verify_userinfo
from authhost.providers.oauth2 import authorization
from authhost.providers.token_endpoint import TokenEndpoint
from authhost.records import SocialToken
from authhost.security.keys import new_key, same

Keys = list[Mapping[str, Any]]

KEEP = 3600.0
"""Seconds for which what a provider publishes is not asked for again."""
REFETCH = 60.0
"""Seconds between two looks for a key that is not among those known."""
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
USERINFO = "userinfo_endpoint"
PROTOCOL_CLAIMS = frozenset(
    {"aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid", "auth_time"}
)
SECRET_LIFETIME = 300
"""Seconds for which a signed client secret is valid."""


class OpenIDClient:
    """The authorization code flow. Discovery and keys are kept, and fetched anew when they may differ."""

    def __init__(self, app: App, declaration: OpenIDConnectProvider, clock: Callable[[], datetime]) -> None:
        self._app, self._declaration, self._clock = app, declaration, clock
        self._metadata: Mapping[str, Any] | None = None
        self._metadata_at = self._keys_at = 0.0
        self._keys: Keys = []
        # No endpoint that the issuer names may be nearer than the issuer itself.
        self._zone = Zone.PUBLIC
        self._failures = RecentFailures(clock)

    # What the flows call.

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NONE,
        hosted_domain: str | None = None,
    ) -> Begun:
        """Prepare the redirect, with a nonce (Core 1.0, section 3.1.2.1)."""
        nonce = new_key()
        params = {**self._app.authorize_params, **params, "nonce": nonce}
        if hosted_domain is not None:
            params[HOSTED_DOMAIN] = hosted_domain
        url = self.metadata()["authorization_endpoint"]
        begun = authorization(self._app, url, redirect_uri, state, " ".join(self._app.scopes), params)
        secrets = {**begun.secrets, "nonce": nonce}
        if hosted_domain is not None:
            secrets[HOSTED_DOMAIN] = hosted_domain
        return begun._replace(secrets=secrets)

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """The issuer of the answer (RFC 9207): where it is promised it must be there."""
        issuer = params.get("iss")
        promised = self.metadata().get("authorization_response_iss_parameter_supported") is True
        if (issuer is None and promised) or (issuer is not None and issuer != self._app.namespace):
            raise InvalidIdToken(reason="issuer_mismatch")

    def complete(self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
        """Ask for the tokens, check the ID token, ask for the rest of the claims."""
        fields = self._endpoint().exchange(redirect_uri, params, secrets["verifier"])
        token = make_token(fields, self._clock())
        claims = self._verified(fields.get("id_token"), token)
        if not same(str(claims.get("nonce", "")), secrets["nonce"]):
            raise InvalidIdToken(reason="nonce")
        _check_hosted_domain(claims, secrets.get(HOSTED_DOMAIN))
        data = merged(claims, self._userinfo(token, claims["sub"]))
        user = posted_user(params.get(USER)) if self._declaration.posts_user else None
        if user is not None:
            data.setdefault(USER, user)
        try:
            storable(data)
        except (ValueError, RecursionError):
            raise ProviderFailed(reason="profile_malformed") from None
        return Answer(read_profile(self._app, data), data, token)

    def probe(self, redirect_uri: str) -> None:
        """Send a made-up code."""
        self._endpoint().exchange(redirect_uri, {"code": MADE_UP_CODE}, new_key())

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """A new access token; an ID token that comes with it must be about the same person (section 12.2)."""
        fields = self._endpoint().refresh(token)
        fresh, id_token = make_token(fields, self._clock()), fields.get("id_token")
        if id_token is not None and self._verified(id_token, fresh)["sub"] != sub:
            raise InvalidIdToken(reason="sub")
        return fresh

    # What the provider publishes.

    def metadata(self) -> Mapping[str, Any]:
        """The discovery document (Discovery 1.0, section 4)."""
        if self._metadata is None or monotonic() - self._metadata_at > KEEP:
            self._failures.ask("discovery", self._fetch_metadata)
        assert self._metadata is not None
        return self._metadata

    def _fetch_metadata(self) -> None:
        issuer = self._app.namespace
        zone_reached(forget=True)
        found = _published(issuer.rstrip("/") + "/.well-known/openid-configuration")
        zone = zone_reached()
        if found.get("issuer") != issuer:
            raise InvalidIdToken(reason="issuer_mismatch", found=_printable(found.get("issuer")))
        for name in (*ENDPOINTS, *([USERINFO] if found.get(USERINFO) is not None else [])):
            url = found.get(name)
            if not isinstance(url, str) or not is_secure(url):
                raise ProviderFailed(reason="discovery_malformed")
            if leads_here(url) and not leads_here(issuer):  # it would have us ask this machine
                raise ProviderFailed(reason="discovery_malformed")
            elsewhere = host_of(url) != host_of(issuer) and name != "authorization_endpoint"
            if elsewhere and zone > Zone.HERE and zone_of_name(url) < zone:
                raise ProviderFailed(reason="private_address")
        self._zone = zone
        self._metadata, self._metadata_at = found, monotonic()

    def keys(self) -> Keys:
        """The keys that sign ID tokens (RFC 7517)."""
        if not self._keys or monotonic() - self._keys_at > KEEP:
            self._fetch_keys()
        return self._keys

    def _fetch_keys(self) -> None:
        self._failures.ask("keys", self._fetch_key_set)

    def _fetch_key_set(self) -> None:
        url = self.metadata()["jwks_uri"]
        found = _published(url, self._zone).get("keys")
        if not isinstance(found, list):
            raise ProviderFailed(reason="keys_malformed")
        self._keys = [each for each in found if isinstance(each, Mapping)]
        self._keys_at = monotonic()

    def _verified(self, id_token: object, token: SocialToken) -> Mapping[str, Any]:
        """The claims of an ID token."""
        return self._with_keys(
            lambda keys: verify(
                id_token,
                keys,
                issuer=self._app.namespace,
                client_id=self._app.settings.client_id,
                access_token=token.reveal(),
                now=self._clock(),
            )
        )

    def _with_keys(self, check: Callable[[Keys], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What ``check`` returns. A key that is not known may be new: the provider is asked once."""
        try:
            return check(self.keys())
        except InvalidIdToken as error:
            if error.fields["reason"] != "unknown_key" or monotonic() - self._keys_at < REFETCH:
                raise
        self._fetch_keys()
        return check(self.keys())

    # Its token and userinfo endpoints.

    def _endpoint(self) -> TokenEndpoint:
        metadata, settings = self.metadata(), self._app.settings
        offered = metadata.get("token_endpoint_auth_methods_supported")
        offered = offered if isinstance(offered, list) and offered else ["client_secret_basic"]
        signed, chosen = self._declaration.signed_secret, self._app.sends_secret_by_basic
        return TokenEndpoint(
            metadata["token_endpoint"],
            settings.client_id,
            self._signed_secret() if signed else settings.client_secret,
            basic=("client_secret_basic" in offered if chosen is None else chosen) and not signed,
            nearest=self._zone,
        )

    def _signed_secret(self) -> str:
        settings, now = self._app.settings, int(self._clock().timestamp())
        claims = {
            "iss": settings.team_id,
            "sub": settings.client_id,
            "aud": self._app.namespace,
            "iat": now,
            "exp": now + SECRET_LIFETIME,
        }
        try:
            return jwt.encode(claims, settings.private_key, "ES256", {"kid": settings.key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ProviderFailed(reason="private_key") from None

    def _userinfo(self, token: SocialToken, sub: str) -> Mapping[str, Any]:
        url = self.metadata().get(USERINFO)
        if url is None or not self._declaration.userinfo:
            return {}
        bearer = {"Authorization": f"Bearer {token.reveal()}"}
        response = ask("GET", url, headers=bearer, nearest=self._zone)
        if response.ok and response.headers.get("Content-Type", "").lower().startswith("application/jwt"):
            app = self._app
            claims = self._with_keys(
                lambda keys: verify_userinfo(
                    response.text.strip(), keys, issuer=app.namespace, client_id=app.settings.client_id
                )
            )
        else:
            claims = as_json(response)
        if not isinstance(claims, dict):
            raise ProviderFailed(reason="profile_malformed")
        if claims.get("sub") != sub:
            raise InvalidIdToken(reason="sub")
        return claims


def _check_hosted_domain(claims: Mapping[str, Any], asked: str | None) -> None:
    """The browser carries the question, and a person can take it out: the ID token alone answers it."""
    if asked is None:
        return
    found = claims.get(HOSTED_DOMAIN)
    named = found.casefold() if isinstance(found, str) else ""
    if not named or asked.casefold() not in (ANY_DOMAIN, named):
        raise InvalidIdToken("Please choose an account of your organisation.", reason="hosted_domain")


def merged(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """The claims about the person: userinfo's over the ID token's (Core 1.0, section 5.3.2).

    A null stands for a claim that is not returned. ``email_verified`` is about
    the address of the same document, and of the other one where that names the
    same address.
    """
    of_token = {name: value for name, value in claims.items() if name not in PROTOCOL_CLAIMS}
    said = {name: value for name, value in userinfo.items() if value is not None}
    if "email" not in said:
        said.pop("email_verified", None)
    elif said["email"] != of_token.get("email"):
        of_token.pop("email_verified", None)
    return {**of_token, **said, "iss": claims["iss"], "sub": claims["sub"]}


def _printable(value: object) -> str:
    return "".join(each for each in str(value)[:200] if each.isascii() and each.isprintable())


def _published(url: str, nearest: Zone = Zone.HERE) -> Mapping[str, Any]:
    found = published(url, nearest)
    if not isinstance(found, dict):
        raise ProviderFailed(reason="discovery_malformed")
    return found
