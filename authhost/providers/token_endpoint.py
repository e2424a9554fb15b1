"""The token endpoint of OAuth 2.0 (RFC 6749, section 3.2), over requests-oauthlib."""

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
from authhost.providers.failures import is_busy
from authhost.providers.http import Zone, prepare, quietly, shown_to_oauthlib
from authhost.records import SocialToken

OUTAGES = ("temporarily_unavailable", "server_error")
"""Errors of an endpoint that is down (RFC 6749, section 4.1.2.1), which some send with a status of 400."""
LONGEST_LIFETIME = 100 * 366 * 24 * 3600
"""Seconds. A token that lasts longer has no end."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where codes become tokens, and how the client shows there who it is (RFC 6749, section 2.3.1)."""

    url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    basic: bool = False
    id_name: str = "client_id"
    secret_name: str = "client_secret"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    nearest: Zone = Zone.HERE

    def exchange(
        self,
        redirect_uri: str,
        params: Mapping[str, str],
        verifier: str | None,
        more: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """The code for a token (section 4.1.3), with PKCE's verifier (RFC 7636, section 4.5)."""
        code = params.get("code")
        if not code:
            raise ProviderFailed(reason="code_missing")
        session = self._session(redirect_uri)
        fields = {**self._fields(), **(more or {})}
        if verifier is not None:
            fields["code_verifier"] = verifier
        return _fetched(
            lambda: session.fetch_token(
                shown_to_oauthlib(self.url),
                code=code,
                body=urlencode(fields),
                auth=self._auth(),
                include_client_id=False,
                method=self.method,
            )
        )

    def refresh(self, token: SocialToken) -> Mapping[str, Any]:
        """A refresh (section 6). The refresh token stays where none comes back."""
        refresh_token = token.reveal_refresh()
        if refresh_token is None:
            raise ProviderFailed(reason="no_refresh_token")
        session = self._session(None)
        return _fetched(
            lambda: session.refresh_token(
                shown_to_oauthlib(self.url), refresh_token, auth=self._auth(), **self._fields()
            )
        )

    def _session(self, redirect_uri: str | None) -> OAuth2Session:
        session = OAuth2Session(self.client_id, redirect_uri=redirect_uri)
        prepare(session, self.url, nearest=self.nearest)
        session.headers.update(self.headers)
        for kind in ("access_token_response", "refresh_token_response"):
            session.register_compliance_hook(kind, _readable)
        return session

    @property
    def _in_header(self) -> bool:
        return self.basic and bool(self.client_secret)

    def _fields(self) -> dict[str, str]:
        if self._in_header:
            return {}
        secret = {self.secret_name: self.client_secret} if self.client_secret else {}
        return {self.id_name: self.client_id, **secret}

    def _auth(self) -> Callable[[Any], Any]:
        if self._in_header:
            return HTTPBasicAuth(quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
        # Without any the library would make a header of its own.
        return lambda request: request


def _readable(response: Response) -> Response:
    """The answer in a form that oauthlib can read. Raises `ProviderFailed`.

    oauthlib fails at a lifetime that is no number, and a null would hide a value
    that is known already. An answer with an HTTP error that is no error of OAuth
    (RFC 6749, section 5.2) says nothing of the code or the token.
    """
    status = response.status_code
    fields = _parsed(response)
    says_nothing = fields.get("error") is None or fields["error"] in OUTAGES
    if is_busy(status) or (status >= 400 and says_nothing):
        raise ProviderFailed(reason="http_error", status=status)
    fields = {name: value for name, value in fields.items() if value is not None}
    lifetime = _seconds(fields.pop("expires_in", None))
    if lifetime is not None:
        fields["expires_in"] = lifetime
    fields.pop("expires_at", None)
    if not isinstance(fields.get("scope"), str | list):
        fields.pop("scope", None)
    response._content = json.dumps(fields).encode()
    response.encoding = "utf-8"
    return response


def _parsed(response: Response) -> dict[str, Any]:
    """The fields of the answer: JSON, or a form as some providers send it. Empty where it is neither."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        found = dict(parse_qsl(response.text))
    return found if isinstance(found, dict) else {}


def _seconds(value: object) -> int | None:
    """A lifetime, or None where ``value`` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return int(found) if abs(found) <= LONGEST_LIFETIME else None


def _fetched(fetch: Callable[[], Any]) -> Mapping[str, Any]:
    """The answer of the endpoint. The library's errors may hold what was sent, so they end here."""
    try:
        with quietly():
            fields = fetch()
    except ProviderFailed:
        raise
    except OAuth2Error as error:
        shown = "".join(each for each in str(error.error)[:64] if each.isascii() and each.isprintable())
        raise ProviderFailed(reason="token_refused", error=shown) from None
    except Exception:  # the library parses before it checks
        raise ProviderFailed(reason="token_malformed") from None
    if not isinstance(fields, Mapping):
        raise ProviderFailed(reason="token_malformed")
    return fields
