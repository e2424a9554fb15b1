"""OAuth 2.0 (RFC 6749) with PKCE (RFC 7636), as RFC 9700 wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from authhost_hookspecs import OAuth2Provider
from oauthlib.oauth2 import WebApplicationClient
from requests import Response
from requests_oauthlib import OAuth2Session

from authhost.errors import ProviderFailed
from authhost.providers.app import App
from authhost.providers.client import MADE_UP_CODE, NONE, Answer, Begun, make_token, read_profile, with_params
from authhost.providers.http import PLAIN, SECURE, as_json, ask, is_secure, shown_to_oauthlib
from authhost.providers.token_endpoint import TokenEndpoint
from authhost.records import SocialToken
from authhost.security.keys import new_key


class OAuth2Client:
    """The authorization code grant."""

    def __init__(self, app: App, declaration: OAuth2Provider, clock: Callable[[], datetime]) -> None:
        self._app, self._declaration, self._clock = app, declaration, clock

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NONE,
        hosted_domain: str | None = None,
    ) -> Begun:
        """Prepare the redirect."""
        app, declaration = self._app, self._declaration
        params = {**app.authorize_params, **params}
        if declaration.client_id_name != "client_id":
            params[declaration.client_id_name] = app.settings.client_id
        scope = declaration.scope_separator.join(app.scopes)
        url = app.url(declaration.authorize_url)
        return authorization(app, url, redirect_uri, state, scope, params, pkce=declaration.pkce)

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """A redirect URI of its own tells each provider from the others (RFC 9700, section 4.4.2.2)."""

    def complete(self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
        """Ask for token and profile."""
        app, declaration = self._app, self._declaration
        profile_url = app.url(declaration.profile_url)
        more_urls = {name: app.url(url) for name, url in declaration.more_urls.items()}
        more = _filled(declaration.token_params, params)
        endpoint = self._endpoint(declaration.token_url)
        fields = endpoint.exchange(redirect_uri, params, secrets.get("verifier"), more)
        token = make_token(fields, self._clock())
        said = {name: value for name, value in fields.items() if _may_be_kept(name, value)}
        known = {**said, "client_id": app.settings.client_id}
        response = self._ask(
            profile_url, token, _filled(declaration.profile_params, known), declaration.profile_method
        )
        data = as_json(response)
        if not isinstance(data, dict):
            raise ProviderFailed(reason="profile_malformed")
        for name, url in more_urls.items():
            response = self._ask(url, token, {}, "GET")
            data[name] = [] if _is_withheld(response) else as_json(response)
        return Answer(read_profile(app, {**data, "token": said}), data, token)

    def probe(self, redirect_uri: str) -> None:
        """Send a made-up code."""
        verifier = new_key() if self._declaration.pkce else None
        self._endpoint(self._declaration.token_url).exchange(redirect_uri, {"code": MADE_UP_CODE}, verifier)

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """A new access token."""
        endpoint = self._endpoint(self._declaration.refresh_url or self._declaration.token_url)
        return make_token(endpoint.refresh(token), self._clock())

    def _endpoint(self, url: str) -> TokenEndpoint:
        settings, declaration = self._app.settings, self._declaration
        chosen = self._app.sends_secret_by_basic
        return TokenEndpoint(
            self._app.url(url),
            settings.client_id,
            settings.client_secret,
            basic=declaration.credentials == "basic" if chosen is None else chosen,
            id_name=declaration.client_id_name,
            secret_name=declaration.client_secret_name,
            method=declaration.token_method,
            headers=self._headers(),
        )

    def _ask(self, url: str, token: SocialToken, params: dict[str, str], method: str) -> Response:
        headers, place = self._headers(), self._declaration.token_in
        if place == "header":
            headers["Authorization"] = f"Bearer {token.reveal()}"
        else:
            params = {**params, "access_token": token.reveal()}
        if place == "body":
            return ask("POST", url, headers=headers, data=params)
        return ask(method, url, headers=headers, params=params)

    def _headers(self) -> dict[str, str]:
        return _filled(self._declaration.profile_headers, {"client_id": self._app.settings.client_id})


def authorization(
    app: App,
    url: str,
    redirect_uri: str,
    state: str,
    scope: str,
    params: Mapping[str, str],
    *,
    pkce: bool = True,
) -> Begun:
    """The authorization request (RFC 6749, section 4.1.1), with PKCE's S256."""
    if not is_secure(url):
        raise ProviderFailed(reason="not_https")
    client = WebApplicationClient(app.settings.client_id)
    ours, secrets = dict[str, str](), dict[str, str]()
    if pkce:
        verifier = secrets["verifier"] = new_key() + new_key()
        ours["code_challenge"] = client.create_code_challenge(verifier, "S256")
        ours["code_challenge_method"] = "S256"
    session = OAuth2Session(client=client, redirect_uri=redirect_uri, scope=scope or None)
    shown = shown_to_oauthlib(url)
    found, _ = session.authorization_url(shown, state=state, **ours)
    found = with_params(found, {name: value for name, value in params.items() if name not in ours})
    if shown != url:
        found = PLAIN + found.removeprefix(SECURE)
    return Begun(found, state, secrets)


def _is_withheld(response: Response) -> bool:
    """Whether the provider does not let us have a document, such as a GitHub App without the permission."""
    limited = response.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in response.headers
    return response.status_code == 404 or (response.status_code == 403 and not limited)


def _may_be_kept(name: str, value: object) -> bool:
    return isinstance(value, str | int) and not any(word in name for word in ("token", "secret", "expires"))


def _filled(templates: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters with what was said before; raises `ProviderFailed` where that is missing."""
    try:
        return {name: template.format(**values) for name, template in templates.items()}
    except (LookupError, ValueError, AttributeError):
        raise ProviderFailed(reason="answer_incomplete") from None
