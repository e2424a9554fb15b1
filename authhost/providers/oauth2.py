"""OAuth 2.0 (RFC 6749) with PKCE (RFC 7636), following RFC 9700."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider
from oauthlib.oauth2 import WebApplicationClient
from requests import Response
from requests_oauthlib import OAuth2Session

from authhost.errors import ProviderFailed
from authhost.providers.addresses import HTTP, HTTPS, is_secure
from authhost.providers.app import App
from authhost.providers.client import (
    NO_PARAMS,
    PROBE_CODE,
    AuthorizationRequest,
    ProviderClient,
    ProviderResponse,
    add_query_params,
    parse_token,
    read_profile,
)
from authhost.providers.http import parse_json, send_request
from authhost.providers.token_endpoint import TokenEndpoint
from authhost.providers.transport import url_for_oauthlib
from authhost.records import SocialToken
from authhost.security.keys import new_key


class OAuth2Client(ProviderClient[OAuth2Provider]):
    """The authorization code grant.

    `check_issuer` checks nothing: each provider has its own redirect URI, which
    distinguishes it from the others (RFC 9700, section 4.4.2.2).
    """

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NO_PARAMS,
        hosted_domain: str | None = None,
    ) -> AuthorizationRequest:
        """Prepare the redirect to the authorization endpoint."""
        app, declaration = self._app, self._declaration
        params = {**app.authorize_params, **params}
        if declaration.client_id_name != "client_id":
            params[declaration.client_id_name] = app.settings.client_id
        scope = declaration.scope_separator.join(app.scopes)
        url = app.url(declaration.authorize_url)
        return authorization_request(app, url, redirect_uri, state, scope, params, pkce=declaration.pkce)

    def complete(
        self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ProviderResponse:
        """Exchange the code for a token, and request the profile with it."""
        app, declaration = self._app, self._declaration
        profile_url = app.url(declaration.profile_url)
        more_urls = {name: app.url(url) for name, url in declaration.more_urls.items()}
        token_params = _format_params(declaration.token_params, params)
        endpoint = self._token_endpoint(declaration.token_url)
        fields = endpoint.exchange(redirect_uri, params, secrets.get("verifier"), token_params)
        token = parse_token(fields, self._clock())
        token_data = {name: value for name, value in fields.items() if _is_storable_field(name, value)}
        values = {**token_data, "client_id": app.settings.client_id}
        response = self._request(
            profile_url, token, _format_params(declaration.profile_params, values), declaration.profile_method
        )
        data = parse_json(response)
        if not isinstance(data, dict):
            raise ProviderFailed(reason="profile_malformed")
        for name, url in more_urls.items():
            response = self._request(url, token, {}, "GET")
            data[name] = [] if _is_forbidden(response) else parse_json(response)
        return ProviderResponse(read_profile(app, {**data, "token": token_data}), data, token)

    def probe(self, redirect_uri: str) -> None:
        """Send an invalid code to the token endpoint."""
        verifier = new_key() if self._declaration.pkce else None
        endpoint = self._token_endpoint(self._declaration.token_url)
        endpoint.exchange(redirect_uri, {"code": PROBE_CODE}, verifier)

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """Return a new access token."""
        endpoint = self._token_endpoint(self._declaration.refresh_url or self._declaration.token_url)
        return parse_token(endpoint.refresh(token), self._clock())

    def _token_endpoint(self, url: str) -> TokenEndpoint:
        settings, declaration = self._app.settings, self._declaration
        configured = self._app.sends_secret_by_basic
        return TokenEndpoint(
            self._app.url(url),
            settings.client_id,
            settings.client_secret,
            basic=declaration.credentials == "basic" if configured is None else configured,
            id_name=declaration.client_id_name,
            secret_name=declaration.client_secret_name,
            method=declaration.token_method,
            headers=self._headers(),
        )

    def _request(self, url: str, token: SocialToken, params: dict[str, str], method: str) -> Response:
        headers, token_in = self._headers(), self._declaration.token_in
        if token_in == "header":
            headers["Authorization"] = f"Bearer {token.reveal()}"
        else:
            params = {**params, "access_token": token.reveal()}
        if token_in == "body":
            return send_request("POST", url, headers=headers, data=params)
        return send_request(method, url, headers=headers, params=params)

    def _headers(self) -> dict[str, str]:
        return _format_params(self._declaration.profile_headers, {"client_id": self._app.settings.client_id})


def authorization_request(
    app: App,
    url: str,
    redirect_uri: str,
    state: str,
    scope: str,
    params: Mapping[str, str],
    *,
    pkce: bool = True,
) -> AuthorizationRequest:
    """Return the authorization request (RFC 6749, section 4.1.1), with a PKCE challenge (S256)."""
    if not is_secure(url):
        raise ProviderFailed(reason="not_https")
    client = WebApplicationClient(app.settings.client_id)
    pkce_params, secrets = dict[str, str](), dict[str, str]()
    if pkce:
        verifier = secrets["verifier"] = new_key() + new_key()
        pkce_params["code_challenge"] = client.create_code_challenge(verifier, "S256")
        pkce_params["code_challenge_method"] = "S256"
    session = OAuth2Session(client=client, redirect_uri=redirect_uri, scope=scope or None)
    https_url = url_for_oauthlib(url)
    request_url, _ = session.authorization_url(https_url, state=state, **pkce_params)
    extra = {name: value for name, value in params.items() if name not in pkce_params}
    request_url = add_query_params(request_url, extra)
    if https_url != url:
        request_url = HTTP + request_url.removeprefix(HTTPS)
    return AuthorizationRequest(request_url, state, secrets)


def _is_forbidden(response: Response) -> bool:
    """Return whether the token may not read this document, such as a GitHub App without the permission."""
    limited = response.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in response.headers
    return response.status_code == 404 or (response.status_code == 403 and not limited)


def _is_storable_field(name: str, value: object) -> bool:
    """Return whether a field of the token response is not a secret and can be used with the profile."""
    return isinstance(value, str | int) and not any(word in name for word in ("token", "secret", "expires"))


def _format_params(templates: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """Fill ``values`` into the templates of parameters; raises `ProviderFailed` if a value is missing."""
    try:
        return {name: template.format(**values) for name, template in templates.items()}
    except (LookupError, ValueError, AttributeError):
        raise ProviderFailed(reason="answer_incomplete") from None
