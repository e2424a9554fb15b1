"""The token endpoint of OAuth 2.0 (RFC 6749, section 3.2), over requests-oauthlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from oauthlib.oauth2 import OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from authhost.errors import ProviderFailed
from authhost.providers.http import prepare, quietly, shown_to_oauthlib
from authhost.records import SocialToken


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
        prepare(session, self.url)
        session.headers.update(self.headers)
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
