"""OAuth 1.0a (RFC 5849), over requests-oauthlib. The request token stands for the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from authhost_hookspecs import OAuth1Provider
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenRequestDenied

from authhost.errors import ProviderFailed
from authhost.providers.app import App
from authhost.providers.client import NONE, TOKEN, Answer, Begun, read_profile, with_params
from authhost.providers.failures import RecentFailures, is_busy, is_down
from authhost.providers.http import as_json, asked, is_secure, prepare, quietly
from authhost.records import SocialToken


class OAuth1Client:
    """Three legs: a request token, the person's consent, an access token."""

    def __init__(self, app: App, declaration: OAuth1Provider, clock: Callable[[], datetime]) -> None:
        self._app, self._declaration = app, declaration
        self._failures = RecentFailures(clock)

    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NONE,
        hosted_domain: str | None = None,
    ) -> Begun:
        """Fetch a request token and prepare the redirect (RFC 5849, sections 2.1 and 2.2)."""
        declaration = self._declaration
        session = self._session(declaration.request_token_url, callback_uri=redirect_uri)
        fetch = partial(session.fetch_request_token, declaration.request_token_url)
        fields = self._failures.ask("request token", lambda: _fetched(fetch), is_down)
        if fields.get("oauth_callback_confirmed") != "true":
            raise ProviderFailed(reason="callback_not_confirmed")
        token, secret = _pair(fields)
        if not is_secure(declaration.authorize_url):
            raise ProviderFailed(reason="not_https")
        with quietly():
            url = session.authorization_url(declaration.authorize_url, token)
        return Begun(
            with_params(url, {**self._app.authorize_params, **params}),
            token,
            {"token": token, "secret": secret},
        )

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """The request token belongs to this provider alone."""

    def complete(self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
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
        fields = _fetched(lambda: session.fetch_access_token(declaration.access_token_url))
        token, secret = _pair(fields)
        asks = dict(declaration.profile_params)
        data = as_json(asked(session, "GET", declaration.profile_url, params=asks))
        if not isinstance(data, dict):
            raise ProviderFailed(reason="profile_malformed")
        said = {name: value for name, value in fields.items() if not name.startswith("oauth_")}
        return Answer(
            read_profile(self._app, {**data, "token": said}), data, SocialToken(token, secret=secret)
        )

    def probe(self, redirect_uri: str) -> None:
        """Ask for a request token that nobody will use."""
        self.begin(redirect_uri, "")

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """Tokens of OAuth 1.0a do not end."""
        return token

    def _session(self, *urls: str, **options: Any) -> OAuth1Session:
        settings = self._app.settings
        session = OAuth1Session(settings.client_id, client_secret=settings.client_secret, **options)
        prepare(session, *urls)
        return session


def _fetched(fetch: Callable[[], Any]) -> Mapping[str, Any]:
    """The answer of a token endpoint; the library's errors may hold what was sent."""
    try:
        with quietly():
            fields: Mapping[str, Any] = fetch()
    except ProviderFailed:
        raise
    except TokenRequestDenied as error:
        if is_busy(error.status_code):
            raise ProviderFailed(reason="http_error", status=error.status_code) from None
        raise ProviderFailed(reason="token_refused") from None
    except Exception:
        raise ProviderFailed(reason="token_refused") from None
    return fields


def _pair(fields: Mapping[str, Any]) -> tuple[str, str]:
    pair = fields.get("oauth_token"), fields.get("oauth_token_secret")
    if not all(isinstance(each, str) and TOKEN.fullmatch(each) for each in pair):
        raise ProviderFailed(reason="token_malformed")
    return str(pair[0]), str(pair[1])
