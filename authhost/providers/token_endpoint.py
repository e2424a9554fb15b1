"""The token endpoint of OAuth 2.0 (RFC 6749, section 3.2), with requests-oauthlib."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from oauthlib.oauth2 import OAuth2Error
from requests import Response
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from authhost.errors import ProviderFailed
from authhost.providers.addresses import AddressSpace
from authhost.providers.debug_logs import suppress_debug_logs
from authhost.providers.failure_cache import is_transient
from authhost.providers.transport import configure_session, url_for_oauthlib
from authhost.records import SocialToken

OUTAGE_ERRORS = ("temporarily_unavailable", "server_error")
"""Errors of a server that is down (RFC 6749, section 4.1.2.1). Some servers send them with status 400."""
MAX_LIFETIME = 100 * 366 * 24 * 3600
"""Seconds. A token with a longer lifetime is stored as one that does not expire."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """The address of a token endpoint, and how the client authenticates there (RFC 6749, section 2.3.1)."""

    url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    basic: bool = False
    """Whether the secret is sent by HTTP Basic instead of in the body."""
    id_name: str = "client_id"
    secret_name: str = "client_secret"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    min_address_space: AddressSpace = AddressSpace.LOOPBACK

    def exchange(
        self,
        redirect_uri: str,
        params: Mapping[str, str],
        verifier: str | None,
        more: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """Exchange the code in ``params`` for a token (section 4.1.3).

        ``verifier`` is that of PKCE (RFC 7636, section 4.5); ``more`` are further
        fields of the request. Returns the fields of the response; raises
        `ProviderFailed`.
        """
        code = params.get("code")
        if not code:
            raise ProviderFailed(reason="code_missing")
        session = self._session(redirect_uri)
        fields = {**self._credential_fields(), **(more or {})}
        if verifier is not None:
            fields["code_verifier"] = verifier
        return _call(
            lambda: session.fetch_token(
                url_for_oauthlib(self.url),
                code=code,
                body=urlencode(fields),
                auth=self._auth(),
                include_client_id=False,
                method=self.method,
            )
        )

    def refresh(self, token: SocialToken) -> Mapping[str, Any]:
        """Refresh the access token (section 6); return the fields of the response.

        If the response has no refresh token, the fields contain the former one.
        """
        refresh_token = token.reveal_refresh()
        if refresh_token is None:
            raise ProviderFailed(reason="no_refresh_token")
        session = self._session(None)
        return _call(
            lambda: session.refresh_token(
                url_for_oauthlib(self.url), refresh_token, auth=self._auth(), **self._credential_fields()
            )
        )

    def _session(self, redirect_uri: str | None) -> OAuth2Session:
        session = OAuth2Session(self.client_id, redirect_uri=redirect_uri)
        configure_session(session, self.url, min_address_space=self.min_address_space)
        session.headers.update(self.headers)
        for hook in ("access_token_response", "refresh_token_response"):
            session.register_compliance_hook(hook, _normalize_response)
        return session

    @property
    def _uses_basic(self) -> bool:
        return self.basic and bool(self.client_secret)

    def _credential_fields(self) -> dict[str, str]:
        if self._uses_basic:
            return {}
        secret = {self.secret_name: self.client_secret} if self.client_secret else {}
        return {self.id_name: self.client_id, **secret}

    def _auth(self) -> Callable[[Any], Any]:
        if self._uses_basic:
            return HTTPBasicAuth(quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
        # Without an auth, requests-oauthlib would add a Basic header of its own.
        return lambda request: request


def _normalize_response(response: Response) -> Response:
    """Return the response as JSON that oauthlib can parse; raises `ProviderFailed`.

    oauthlib fails if the lifetime is not a number, and a null would replace a value
    that it already has. A response with an HTTP error that is not an OAuth error
    (RFC 6749, section 5.2) does not mean that the code or the token is invalid.
    """
    status = response.status_code
    fields = _parse_fields(response)
    no_oauth_error = fields.get("error") is None or fields["error"] in OUTAGE_ERRORS
    if is_transient(status) or (status >= 400 and no_oauth_error):
        raise ProviderFailed(reason="http_error", status=status)
    fields = {name: value for name, value in fields.items() if value is not None}
    lifetime = _parse_lifetime(fields.pop("expires_in", None))
    if lifetime is not None:
        fields["expires_in"] = lifetime
    fields.pop("expires_at", None)
    if not isinstance(fields.get("scope"), str | list):
        fields.pop("scope", None)
    response._content = json.dumps(fields).encode()
    response.encoding = "utf-8"
    return response


def _parse_fields(response: Response) -> dict[str, Any]:
    """Return the fields of a response that is JSON or, as from some providers, a form; otherwise none."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        found = dict(parse_qsl(response.text))
    return found if isinstance(found, dict) else {}


def _parse_lifetime(value: object) -> int | None:
    """Return a lifetime in seconds, or None if ``value`` is not one or exceeds `MAX_LIFETIME`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return int(seconds) if abs(seconds) <= MAX_LIFETIME else None


def _call(fetch: Callable[[], Any]) -> Mapping[str, Any]:
    """Return the fields that ``fetch`` returns; raises `ProviderFailed`.

    The library's own errors are not raised, since they may contain what was sent.
    """
    try:
        with suppress_debug_logs():
            fields = fetch()
    except ProviderFailed:
        raise
    except OAuth2Error as error:
        shown = "".join(each for each in str(error.error)[:64] if each.isascii() and each.isprintable())
        raise ProviderFailed(reason="token_refused", error=shown) from None
    except Exception:  # the library parses the response before it validates it
        raise ProviderFailed(reason="token_malformed") from None
    if not isinstance(fields, Mapping):
        raise ProviderFailed(reason="token_malformed")
    return fields
