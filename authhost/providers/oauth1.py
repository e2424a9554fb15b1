"""OAuth 1.0a (RFC 5849), with requests-oauthlib. The request token takes the place of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from authhost_hookspecs import OAuth1Provider
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenRequestDenied

from authhost.errors import ProviderFailed
from authhost.providers.addresses import is_secure
from authhost.providers.app import App
from authhost.providers.client import (
    NO_PARAMS,
    TOKEN_PATTERN,
    AuthorizationRequest,
    ProviderClient,
    ProviderResponse,
    add_query_params,
    read_profile,
)
from authhost.providers.debug_logs import suppress_debug_logs
from authhost.providers.failure_cache import FailureCache, is_transient, is_unavailable
from authhost.providers.http import parse_json, session_request
from authhost.providers.transport import configure_session
from authhost.records import SocialToken


class OAuth1Client(ProviderClient[OAuth1Provider]):
    """The redirection-based authorization: a request token, the person's consent, an access token."""

    def __init__(self, app: App, declaration: OAuth1Provider, clock: Callable[[], datetime]) -> None:
        super().__init__(app, declaration, clock)
        self._failures = FailureCache(clock)

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NO_PARAMS,
        hosted_domain: str | None = None,
    ) -> AuthorizationRequest:
        """Fetch a request token and prepare the redirect (RFC 5849, sections 2.1 and 2.2)."""
        declaration = self._declaration
        session = self._session(declaration.request_token_url, callback_uri=redirect_uri)
        fetch = partial(session.fetch_request_token, declaration.request_token_url)
        fields = self._failures.call("request token", lambda: _fetch_token(fetch), is_unavailable)
        if fields.get("oauth_callback_confirmed") != "true":
            raise ProviderFailed(reason="callback_not_confirmed")
        token, secret = _token_and_secret(fields)
        if not is_secure(declaration.authorize_url):
            raise ProviderFailed(reason="not_https")
        with suppress_debug_logs():
            url = session.authorization_url(declaration.authorize_url, token)
        return AuthorizationRequest(
            add_query_params(url, {**self._app.authorize_params, **params}),
            token,
            {"token": token, "secret": secret},
        )

    def complete(
        self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ProviderResponse:
        """Fetch the access token (RFC 5849, section 2.3) and the profile."""
        declaration = self._declaration
        if not params.get("oauth_verifier"):
            raise ProviderFailed(reason="code_missing")
        session = self._session(
            declaration.access_token_url,
            declaration.profile_url,
            resource_owner_key=secrets["token"],
            resource_owner_secret=secrets["secret"],
            verifier=params["oauth_verifier"],
        )
        fields = _fetch_token(lambda: session.fetch_access_token(declaration.access_token_url))
        token, secret = _token_and_secret(fields)
        profile_params = dict(declaration.profile_params)
        data = parse_json(session_request(session, "GET", declaration.profile_url, params=profile_params))
        if not isinstance(data, dict):
            raise ProviderFailed(reason="profile_malformed")
        token_data = {name: value for name, value in fields.items() if not name.startswith("oauth_")}
        return ProviderResponse(
            read_profile(self._app, {**data, "token": token_data}), data, SocialToken(token, secret=secret)
        )

    def probe(self, redirect_uri: str) -> None:
        """Request a request token, and do not use it."""
        self.begin(redirect_uri, "")

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """Return ``token``: tokens of OAuth 1.0a do not expire."""
        return token

    def _session(self, *urls: str, **options: Any) -> OAuth1Session:
        settings = self._app.settings
        session = OAuth1Session(settings.client_id, client_secret=settings.client_secret, **options)
        configure_session(session, *urls)
        return session


def _fetch_token(fetch: Callable[[], Any]) -> Mapping[str, Any]:
    """Return the response of a token endpoint; raises `ProviderFailed`.

    The library's own errors are not raised, since they may contain what was sent.
    """
    try:
        with suppress_debug_logs():
            fields: Mapping[str, Any] = fetch()
    except ProviderFailed:
        raise
    except TokenRequestDenied as error:
        if is_transient(error.status_code):
            raise ProviderFailed(reason="http_error", status=error.status_code) from None
        raise ProviderFailed(reason="token_refused") from None
    except Exception:
        raise ProviderFailed(reason="token_refused") from None
    return fields


def _token_and_secret(fields: Mapping[str, Any]) -> tuple[str, str]:
    pair = fields.get("oauth_token"), fields.get("oauth_token_secret")
    if not all(isinstance(each, str) and TOKEN_PATTERN.fullmatch(each) for each in pair):
        raise ProviderFailed(reason="token_malformed")
    return str(pair[0]), str(pair[1])
