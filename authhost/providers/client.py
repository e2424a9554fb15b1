"""The interface of the provider clients, and what they share: profiles, tokens, query parameters."""

from __future__ import annotations

import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

from authhost_hookspecs import Factor, OpenIDConnectProvider, Profile, Provider

from authhost.errors import InvalidInput, ProviderFailed
from authhost.providers.app import App
from authhost.records import PICTURE_LENGTH, PROFILE_NAME_LENGTH, SocialToken, thawed
from authhost.security.inputs import text

logger = logging.getLogger(__name__)

USER_FIELD = "user"
PROBE_CODE = "authhost-check"
"""An authorization code that no provider has issued, see `ProviderClient.probe`."""
MAX_UID_LENGTH = 255
MAX_EMAILS = 100
"""Addresses that are validated, primary and verified ones first: validating one takes time."""
NAME_PARTS, MAX_NAME_PART_LENGTH = ("firstName", "lastName"), 100
TOKEN_PATTERN = re.compile(r"[\x20-\x7e]{1,16384}")
"""The characters of a token (RFC 6749, appendix A.12). Any other would break the Authorization header."""


NO_PARAMS: Mapping[str, str] = MappingProxyType({})

DeclarationT = TypeVar("DeclarationT", bound=Provider)


class AuthorizationRequest(NamedTuple):
    """The URL of the redirect, its state, and the secrets that `ProviderClient.complete` needs later."""

    url: str
    state: str
    secrets: dict[str, str]


class ProviderResponse(NamedTuple):
    """What a provider returned about a person. ``data`` contains no tokens."""

    profile: Profile
    data: Mapping[str, Any]
    token: SocialToken
    factors: tuple[Factor, ...] = ()
    """What the person has proved there; see `App.factors`."""


class ProviderClient(ABC, Generic[DeclarationT]):
    """Speaks the protocol of one provider. Its methods raise `ProviderFailed` and `InvalidIdToken`."""

    def __init__(self, app: App, declaration: DeclarationT, clock: Callable[[], datetime]) -> None:
        self._app, self._declaration, self._clock = app, declaration, clock

    @abstractmethod
    def begin(
        self,
        redirect_uri: str,
        state: str,
        params: Mapping[str, str] = NO_PARAMS,
        hosted_domain: str | None = None,
    ) -> AuthorizationRequest:
        """Prepare the redirect to the provider.

        ``params`` are added to the authorization request. If ``hosted_domain`` is
        set, `complete` requires that the ID token names it.
        """

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """Check that the callback comes from this provider (RFC 9207)."""

    @abstractmethod
    def complete(
        self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ProviderResponse:
        """Request the token and the profile. ``params`` are those of the callback."""

    @abstractmethod
    def probe(self, redirect_uri: str) -> None:
        """Send a request with invalid data, to learn whether the provider knows the client credentials.

        Raises `ProviderFailed` with the provider's reason.
        """

    @abstractmethod
    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """Return a new access token. ``sub`` is the subject of the person's ID token, if there was one."""


def add_query_params(url: str, params: Mapping[str, str]) -> str:
    """Return ``url`` with ``params`` added to its query; empty values are left out."""
    more = urlencode({name: value for name, value in params.items() if value})
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, more)))))


def read_profile(app: App, data: Mapping[str, Any]) -> Profile:
    """Return the profile that the provider's declaration reads from ``data``; raises `ProviderFailed`.

    Only the uid is required. An e-mail address or name of the wrong type is omitted,
    and so is a picture that is not a URL. Names are cleaned and shortened.
    """
    try:
        profile = app.declaration.read_profile(data)
        uid = text(profile.uid, "uid", MAX_UID_LENGTH)
        texts = (each for each in profile.emails if isinstance(each.email, str))
        emails = tuple(sorted(texts, key=lambda each: (not each.primary, not each.verified))[:MAX_EMAILS])
    except (LookupError, TypeError, ValueError, AttributeError, InvalidInput):
        raise ProviderFailed(reason="profile_malformed") from None
    except Exception as error:  # from a plugin's declaration; the message may contain personal data
        logger.warning("provider %s: read_profile raised %s", app.id, type(error).__name__)
        raise ProviderFailed(reason="profile_malformed") from None
    # MariaDB ignores trailing spaces when it compares: two people must not become one.
    if uid != uid.strip():
        raise ProviderFailed(reason="profile_malformed")
    return Profile(
        uid,
        emails,
        username=_clean_text(profile.username, PROFILE_NAME_LENGTH) or None,
        name=_clean_text(profile.name, PROFILE_NAME_LENGTH) or None,
        picture=_web_url(profile.picture),
    )


def parse_posted_user(posted: str | None) -> dict[str, Any] | None:
    """Return the name from the form field ``user``, which Apple posts, or None.

    The field is not signed. Therefore the name is cleaned and shortened, and the
    e-mail address in the same field is ignored.
    """
    try:
        found = json.loads(posted or "")
        names = {part: _clean_text(found["name"].get(part), MAX_NAME_PART_LENGTH) for part in NAME_PARTS}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    names = {part: name for part, name in names.items() if name}
    return {"name": names} if names else None


def _clean_text(value: object, max_length: int) -> str:
    """Return ``value`` without control characters, with single spaces, and not longer than ``max_length``."""
    words = value.split() if isinstance(value, str) else ()
    return "".join(each for each in " ".join(words) if each.isprintable()).strip()[:max_length].strip()


def _web_url(value: object) -> str | None:
    """Return ``value`` if it is an absolute URL with the scheme http or https, otherwise None."""
    try:
        url = text(value, "picture", PICTURE_LENGTH)
        parts = urlsplit(url)
    except (InvalidInput, ValueError):
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def restore_posted_user(
    app: App, response: ProviderResponse, stored_data: Mapping[str, Any]
) -> ProviderResponse:
    """Return ``response`` with the posted name that is stored: Apple posts it at the first login only."""
    posts = isinstance(app.declaration, OpenIDConnectProvider) and app.declaration.posts_user
    if not posts or USER_FIELD in response.data or USER_FIELD not in stored_data:
        return response
    data = {**response.data, USER_FIELD: thawed(stored_data[USER_FIELD])}
    return response._replace(profile=read_profile(app, data), data=data)


def parse_token(fields: Mapping[str, Any], now: datetime) -> SocialToken:
    """Return the token in a response of a token endpoint (RFC 6749, section 5.1); raises `ProviderFailed`."""
    value, refresh = fields.get("access_token"), fields.get("refresh_token")
    token_type = fields.get("token_type")
    if isinstance(token_type, str) and token_type.lower() != "bearer":
        raise ProviderFailed(reason="token_malformed")
    if not isinstance(value, str) or not TOKEN_PATTERN.fullmatch(value):
        raise ProviderFailed(reason="token_malformed")
    if refresh is not None and not (isinstance(refresh, str) and TOKEN_PATTERN.fullmatch(refresh)):
        raise ProviderFailed(reason="token_malformed")
    scopes = fields.get("scope")
    # RFC 6749 separates scopes by spaces. Some providers use commas, and oauthlib splits at spaces only.
    joined = " ".join(map(str, scopes)) if isinstance(scopes, list) else str(scopes or "")
    scopes = tuple(joined.replace(",", " ").split())
    return SocialToken(value, refresh=refresh, expires_at=_expires_at(fields, now), scopes=scopes)


def _expires_at(fields: Mapping[str, Any], now: datetime) -> datetime | None:
    try:
        return now + timedelta(seconds=float(fields["expires_in"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
