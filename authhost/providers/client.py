"""What every protocol offers to the flows."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from authhost_hookspecs import OpenIDConnectProvider, Profile

from authhost.errors import InvalidInput, ProviderFailed
from authhost.providers.app import App
from authhost.records import SocialToken, thawed
from authhost.security.inputs import text

logger = logging.getLogger(__name__)

USER = "user"
MADE_UP_CODE = "authhost-check"
UID_LENGTH = 255
MOST_EMAILS = 100
"""Addresses that are looked at, the preferred ones first: to check one costs time."""
NAME_LENGTH = 255
NAME_PARTS, NAME_PART_LENGTH = ("firstName", "lastName"), 100
PICTURE_LENGTH = 2048
TOKEN = re.compile(r"[\x20-\x7e]{1,16384}")
"""The characters of a token (RFC 6749, appendix A.12); another would break the header that bears it."""


NONE: Mapping[str, str] = MappingProxyType({})


class Begun(NamedTuple):
    """Where the browser goes; what will come back with it; and what is needed then."""

    url: str
    state: str
    secrets: dict[str, str]


class Answer(NamedTuple):
    """What a provider said of a person. ``data`` is without tokens."""

    profile: Profile
    data: Mapping[str, Any]
    token: SocialToken


class Client(Protocol):
    """Speaks a provider's protocol. Raises `ProviderFailed` and `InvalidIdToken`."""

    def begin(
        self, redirect_uri: str, state: str, params: Mapping[str, str], hosted_domain: str | None
    ) -> Begun:
        """Prepare the redirect with ``params``; the ID token must name ``hosted_domain``, if any."""

    def check_issuer(self, params: Mapping[str, str]) -> None:
        """Whether the answer comes from the right provider (RFC 9207)."""

    def complete(self, redirect_uri: str, params: Mapping[str, str], secrets: Mapping[str, str]) -> Answer:
        """Ask for token and profile."""

    def probe(self, redirect_uri: str) -> None:
        """Ask the token endpoint in vain, to learn whether it knows us; raises `ProviderFailed` if not."""

    def refresh(self, token: SocialToken, sub: str | None) -> SocialToken:
        """A new access token for the person whose ID token, where there is one, says ``sub``."""


def with_params(url: str, params: Mapping[str, str]) -> str:
    """``url`` with more parameters; those without a value are left out."""
    more = urlencode({name: value for name, value in params.items() if value})
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, more)))))


def read_profile(app: App, data: Mapping[str, Any]) -> Profile:
    """The declaration's reading of what the provider answered; raises `ProviderFailed`.

    Only the uid must be there. An address, a name or a picture of the wrong
    type or length is left out.
    """
    try:
        profile = app.declaration.read_profile(data)
        uid = text(profile.uid, "uid", UID_LENGTH)
        texts = (each for each in profile.emails if isinstance(each.email, str))
        emails = tuple(sorted(texts, key=lambda each: (not each.primary, not each.verified))[:MOST_EMAILS])
    except (LookupError, TypeError, ValueError, AttributeError, InvalidInput):
        raise ProviderFailed(reason="profile_malformed") from None
    except Exception as error:  # a declaration of a plugin; its message may name the person
        logger.warning("provider %s: read_profile raised %s", app.id, type(error).__name__)
        raise ProviderFailed(reason="profile_malformed") from None
    # MariaDB compares without trailing spaces: two people must not become one.
    if uid != uid.strip():
        raise ProviderFailed(reason="profile_malformed")
    return Profile(
        uid,
        emails,
        username=shown(profile.username, NAME_LENGTH),
        name=shown(profile.name, NAME_LENGTH),
        picture=shown(profile.picture, PICTURE_LENGTH),
    )


def posted_user(posted: str | None) -> dict[str, Any] | None:
    """The name in a form field ``user`` as Apple posts it, or None.

    Nobody has signed it: the name is cleaned and cut, and the address beside it
    is left out.
    """
    try:
        found = json.loads(posted or "")
        names = {part: _cleaned(found["name"].get(part)) for part in NAME_PARTS}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    names = {part: name for part, name in names.items() if name}
    return {"name": names} if names else None


def _cleaned(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(each for each in text if each.isprintable()).strip()[:NAME_PART_LENGTH].strip()


def shown(value: object, longest: int) -> str | None:
    """``value`` if it is printable text of 1 to ``longest`` characters, or None: for show alone."""
    try:
        return text(value, "profile", longest)
    except InvalidInput:
        return None


def with_earlier_user(app: App, answer: Answer, earlier: Mapping[str, Any]) -> Answer:
    """``answer`` with the name that was posted with an earlier one: it is posted only once."""
    posts = isinstance(app.declaration, OpenIDConnectProvider) and app.declaration.posts_user
    if not posts or USER in answer.data or USER not in earlier:
        return answer
    data = {**answer.data, USER: thawed(earlier[USER])}
    return answer._replace(profile=read_profile(app, data), data=data)


def make_token(fields: Mapping[str, Any], now: datetime) -> SocialToken:
    """The answer of a token endpoint (RFC 6749, section 5.1); raises `ProviderFailed`."""
    value, refresh = fields.get("access_token"), fields.get("refresh_token")
    kind = fields.get("token_type")
    if isinstance(kind, str) and kind.lower() != "bearer":
        raise ProviderFailed(reason="token_malformed")
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise ProviderFailed(reason="token_malformed")
    if refresh is not None and not (isinstance(refresh, str) and TOKEN.fullmatch(refresh)):
        raise ProviderFailed(reason="token_malformed")
    scopes = fields.get("scope")
    # RFC 6749 puts spaces between scopes; some providers put commas, and oauthlib splits at spaces alone.
    named = " ".join(map(str, scopes)) if isinstance(scopes, list) else str(scopes or "")
    scopes = tuple(named.replace(",", " ").split())
    return SocialToken(value, refresh=refresh, expires_at=_expiry(fields, now), scopes=scopes)


def _expiry(fields: Mapping[str, Any], now: datetime) -> datetime | None:
    try:
        return now + timedelta(seconds=float(fields["expires_in"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
