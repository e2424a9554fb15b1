"""OAuth 2.0 (RFC 6749) with PKCE (RFC 7636), as RFC 9700 wants it, over requests-oauthlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from authhost_hookspecs import OAuth2Provider
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from requests import Response
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from authhost.errors import ProviderFailed
from authhost.keys import new_key
from authhost.providers.client import Answer, Begun, make_token, read_profile
from authhost.providers.http import PLAIN, SECURE, as_json, is_secure, prepare, quietly, shown_to_oauthlib
from authhost.providers.registry import App
from authhost.records import SocialToken


class OAuth2Client:
    """The authorization code grant."""

    def __init__(self, app: App, declaration: OAuth2Provider, clock: Callable[[], datetime]) -> None:
        self._app, self._declaration, self._clock = app, declaration, clock

    def begin(self, redirect_uri: str, state: str) -> Begun:
        """Prepare the redirect."""
        declaration, app = self._declaration, self._app
        params = {**declaration.authorize_params, **self._named_id()}
        scope = declaration.scope_separator.join(app.scopes)
        return authorization(app, app.url(declaration.authorize_url), redirect_uri, state, scope, params)

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """A redirect URI of its own tells each provider from the others (RFC 9700, section 4.4.2.2)."""

    def complete(self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
        """Ask for token and profile."""
        app, declaration = self._app, self._declaration
        token_url, profile_url = app.url(declaration.token_url), app.url(declaration.profile_url)
        more = {name: app.url(url) for name, url in declaration.more_urls.items()}
        named = declaration.client_id_name != "client_id"
        fields = exchange(
            app,
            token_url,
            redirect_uri,
            params,
            secrets,
            basic=declaration.credentials == "basic",
            more=self._named_id() | self._named_secret() if named else {},
            method=declaration.token_method,
            headers=self._headers(),
        )
        token = make_token(fields, self._clock())
        said = {name: value for name, value in fields.items() if _may_be_kept(name, value)}
        data = dict(self._document(profile_url, token, said, self._declaration.profile_method))
        for name, url in more.items():
            data[name] = self._more(url, token)
        profile = read_profile(app, {**data, "token": said})
        return Answer(profile, data, token)

    def refresh(self, token: SocialToken, uid: str) -> SocialToken:
        """A new access token."""
        declaration = self._declaration
        basic = declaration.credentials == "basic"
        fields = refreshed(self._app, self._app.url(declaration.token_url), token, basic=basic)
        return make_token(fields, self._clock())

    def _document(self, url: str, token: SocialToken, said: Mapping[str, Any], method: str) -> Any:
        params = {name: value.format(**said) for name, value in self._declaration.profile_params.items()}
        data = as_json(self._ask(url, token, params, method))
        if not isinstance(data, dict):
            raise ProviderFailed(reason="profile_malformed")
        return data

    def _more(self, url: str, token: SocialToken) -> Any:
        response = self._ask(url, token, {}, "GET")
        return [] if response.status_code == 404 else as_json(response)

    def _ask(self, url: str, token: SocialToken, params: dict[str, str], method: str) -> Response:
        headers = self._headers()
        if self._declaration.token_in == "header":
            headers["Authorization"] = f"Bearer {token.reveal()}"
        else:
            params = {**params, "access_token": token.reveal()}
        return ask(url, headers, params, method)

    def _headers(self) -> dict[str, str]:
        given = self._declaration.profile_headers
        return {name: value.format(client_id=self._app.settings.client_id) for name, value in given.items()}

    def _named_id(self) -> dict[str, str]:
        name = self._declaration.client_id_name
        return {name: self._app.settings.client_id} if name != "client_id" else {}

    def _named_secret(self) -> dict[str, str]:
        return {self._declaration.client_secret_name: self._app.settings.client_secret}


def _may_be_kept(name: str, value: object) -> bool:
    return isinstance(value, str | int) and not any(word in name for word in ("token", "secret", "expires"))


def authorization(
    app: App, url: str, redirect_uri: str, state: str, scope: str, params: Mapping[str, str]
) -> Begun:
    """The authorization request (RFC 6749, section 4.1.1), with PKCE's S256."""
    if not is_secure(url):
        raise ProviderFailed(reason="not_https")
    verifier = new_key() + new_key()
    client = WebApplicationClient(app.settings.client_id)
    challenge = client.create_code_challenge(verifier, "S256")
    session = OAuth2Session(client=client, redirect_uri=redirect_uri, scope=scope or None)
    shown = shown_to_oauthlib(url)
    found, _ = session.authorization_url(
        shown, state=state, code_challenge=challenge, code_challenge_method="S256", **params
    )
    if shown != url:
        found = PLAIN + found.removeprefix(SECURE)
    return Begun(found, state, {"verifier": verifier})


def exchange(
    app: App,
    url: str,
    redirect_uri: str,
    params: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    basic: bool,
    secret: str | None = None,
    more: Mapping[str, str] | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """The code for a token (RFC 6749, section 4.1.3)."""
    session = OAuth2Session(app.settings.client_id, redirect_uri=redirect_uri)
    prepare(session, url)
    session.headers.update(headers or {})

    def fetch() -> Any:
        return session.fetch_token(
            shown_to_oauthlib(url),
            code=params.get("code"),
            code_verifier=secrets["verifier"],
            method=method,
            **_credentials(app, secret, basic=basic, body=not more),
            **(more or {}),
        )

    return _token_fields(fetch)


def refreshed(
    app: App, url: str, token: SocialToken, *, basic: bool, secret: str | None = None
) -> Mapping[str, Any]:
    """A refresh (RFC 6749, section 6). The refresh token stays where none comes back."""
    if token.reveal_refresh() is None:
        raise ProviderFailed(reason="no_refresh_token")
    session = OAuth2Session(app.settings.client_id)
    prepare(session, url)
    given = _credentials(app, secret, basic=basic, body=True)
    fields = {"client_id": app.settings.client_id} if given.pop("include_client_id") else {}
    if given["client_secret"]:
        fields["client_secret"] = given["client_secret"]
    return _token_fields(
        lambda: session.refresh_token(
            shown_to_oauthlib(url), token.reveal_refresh(), auth=given["auth"] if basic else None, **fields
        )
    )


def ask(url: str, headers: Mapping[str, str], params: Mapping[str, str], method: str = "GET") -> Response:
    """A request with a token in ``headers`` or ``params``."""
    from requests import Session

    session = Session()
    prepare(session, url)
    with quietly():
        return session.request(method, url, headers=dict(headers), params=dict(params))


def _credentials(app: App, secret: str | None, *, basic: bool, body: bool) -> dict[str, Any]:
    """How the client shows who it is (RFC 6749, section 2.3.1)."""
    secret = app.settings.client_secret if secret is None else secret
    if basic and secret:
        auth = HTTPBasicAuth(quote(app.settings.client_id, safe=""), quote(secret, safe=""))
        return {"auth": auth, "include_client_id": False, "client_secret": None}
    return {
        "auth": _no_header,
        "include_client_id": body,
        "client_secret": (secret or None) if body else None,
    }


def _no_header(request: Any) -> Any:
    return request


def _token_fields(fetch: Callable[[], Any]) -> Mapping[str, Any]:
    """The answer of a token endpoint. The library's errors may hold what was sent, so they end here."""
    try:
        with quietly():
            fields = fetch()
    except ProviderFailed:
        raise
    except OAuth2Error as error:
        raise ProviderFailed(reason="token_refused", error=str(error.error)[:64]) from None
    except Exception:  # the library parses before it checks
        raise ProviderFailed(reason="token_malformed") from None
    if not isinstance(fields, Mapping):
        raise ProviderFailed(reason="token_malformed")
    return fields
