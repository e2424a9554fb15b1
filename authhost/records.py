"""What flows hand out: small immutable values that outlive their transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn, Self
from uuid import UUID

EMAIL_LENGTH = 254
"""The most characters of an e-mail address (RFC 5321, section 4.5.3.1, less the angle brackets)."""


@dataclass(frozen=True, slots=True)
class User:
    """A local account, as `authhost_hookspecs.User` promises."""

    id: UUID
    username: str | None
    email: str | None
    is_active: bool
    has_usable_password: bool
    date_joined: datetime
    last_login: datetime | None
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An e-mail address of an account."""

    id: UUID
    user_id: UUID
    email: str
    verified: bool
    primary: bool


@dataclass(frozen=True, slots=True)
class EmailConfirmation:
    """A confirmation that was handed over for delivery; its key is not here."""

    id: UUID
    email_address: EmailAddress
    sent: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in session; its token is not here."""

    id: UUID
    user_id: UUID
    created_at: datetime
    authenticated_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    method: str
    provider: str | None
    ip_address: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class Authentication:
    """One proof of who the person is."""

    method: str
    time: datetime
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class LoginResult:
    """Either logged in, or what the login still waits for.

    ``session_token`` belongs in the cookie of the browser's session. While a
    login waits, it is the token of whoever was logged in before, who stays
    logged in; where nobody was, it is the token of the login that waits.

    ``pending_token`` is set while a login waits. Keep it in a cookie of its own
    and pass it to ``host.request(pending_token=…)``: it proves that the
    confirmation is made in the browser of the signup.

    ``device_token`` is set where the person is logged in, and belongs in a
    long-lived cookie: other people's failed logins do not lock that browser out.
    """

    session_token: str = field(repr=False)
    user: User | None = None
    waits_for: str | None = None
    pending_token: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)

    @property
    def authenticated(self) -> bool:
        """Whether the person is logged in."""
        return self.waits_for is None


@dataclass(frozen=True, slots=True)
class TokenResult:
    """A change of privilege: the session goes on under a new token."""

    session_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """An address was confirmed; ``login`` is set where that logged the person in.

    ``recovered`` is true where the account was given to the owner of the
    mailbox: its password, connections and sessions were removed, since nothing
    proved that they are the owner's. Offer a password reset then.
    """

    email_address: EmailAddress
    login: LoginResult | None = None
    recovered: bool = False


def frozen(value: Any) -> Any:
    """A JSON value that cannot be changed, all the way down."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(each) for each in value)
    return value


def thawed(value: Any) -> Any:
    """The same as plain dicts and lists, which JSON can express."""
    if isinstance(value, Mapping):
        return {key: thawed(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [thawed(each) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class SocialAccount:
    """A person at a provider."""

    id: UUID | None
    user_id: UUID | None
    provider: str
    issuer: str
    uid: str
    extra_data: Mapping[str, Any] = field(repr=False)
    date_joined: datetime
    last_login: datetime

    @classmethod
    def of_row(cls, row: Any) -> Self:
        """The record of a row of `statements.SOCIAL_COLUMNS`."""
        values: dict[str, Any] = row._asdict()
        return cls(**{**values, "extra_data": frozen(values["extra_data"])})

    def values(self) -> dict[str, Any]:
        """The columns of its row."""
        columns = {name: getattr(self, name) for name in self.__slots__}
        return {**columns, "extra_data": thawed(self.extra_data)}


@dataclass(frozen=True, slots=True)
class SocialEmail:
    """An address that a provider names; ``verified`` only where it is trusted to say so."""

    email: str
    verified: bool
    primary: bool


class SocialToken:
    """A provider's token. Its secret parts are in no repr, and it cannot be pickled or copied to a dict."""

    __slots__ = ("_refresh", "_secret", "_value", "expires_at", "scopes")

    def __init__(
        self,
        value: str,
        *,
        secret: str | None = None,
        refresh: str | None = None,
        expires_at: datetime | None = None,
        scopes: tuple[str, ...] = (),
    ) -> None:
        self._value, self._secret, self._refresh = value, secret, refresh
        self.expires_at, self.scopes = expires_at, scopes

    def reveal(self) -> str:
        """The access token itself; keep it out of logs and tables."""
        return self._value

    def reveal_secret(self) -> str | None:
        """The secret that OAuth 1.0a signs with; None elsewhere."""
        return self._secret

    def reveal_refresh(self) -> str | None:
        """The refresh token, or None."""
        return self._refresh

    def __repr__(self) -> str:
        return f"SocialToken(expires_at={self.expires_at!r}, scopes={self.scopes!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled")


@dataclass(frozen=True, slots=True)
class SocialRedirect:
    """Where the browser is sent. ``state_token`` belongs in a cookie of this browser until it is back.

    ``cookie_name`` is a name for that cookie that no other redirect has:
    `authhost.socialaccount.cookie_name` finds it for the parameters of the callback.
    """

    url: str
    state_token: str = field(repr=False)
    cookie_name: str = ""


@dataclass(frozen=True, slots=True)
class SocialResult:
    """What became of a person who came back from a provider.

    Exactly one of these: ``login`` is set (process ``login``; it may wait for a
    verification), ``signup_token`` is set (the account is made by
    ``socialaccount.signup`` once the person has given what is ``missing``),
    ``stopped`` is true (a plugin ended the flow with ``response``), or the
    process was ``connect`` or ``redirect`` and is done.
    """

    process: str
    account: SocialAccount
    next: str | None = None
    login: LoginResult | None = None
    signup_token: str | None = field(default=None, repr=False)
    missing: tuple[str, ...] = ()
    stopped: bool = False
    response: Any = None
