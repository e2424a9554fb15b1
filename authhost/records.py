"""The results of flows and the arguments of hooks: immutable values, valid after their transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn, Self
from uuid import UUID

from authhost_hookspecs import Actor, Factor

EMAIL_LENGTH = 254
"""The maximum number of characters of an e-mail address (RFC 5321, 4.5.3.1, without angle brackets)."""
PROFILE_NAME_LENGTH, PICTURE_LENGTH = 255, 2048
"""The maximum number of characters of a name, or of the URL of a picture, from a provider."""

REASON_LENGTH, ACTOR_NAME_LENGTH = 500, 150
"""The maximum number of characters of the reason of an administrator, and of the name of an operator."""


@dataclass(frozen=True, slots=True)
class User:
    """A local account; implements `authhost_hookspecs.User`."""

    id: UUID
    username: str | None
    email: str | None
    is_active: bool
    has_usable_password: bool
    date_joined: datetime
    last_login: datetime | None
    email_verified: bool = False
    login_guards: tuple[str, ...] = ()
    """The plugins without which nobody can log in."""
    deactivated_until: datetime | None = None
    deactivation_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Authentication:
    """One authentication of the person."""

    method: str
    time: datetime
    provider: str | None = None
    factors: tuple[Factor, ...] = ()


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
    """A confirmation that was passed to `deliver_message`. It does not contain the key."""

    id: UUID
    email_address: EmailAddress
    sent: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in session. It does not contain the token."""

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
    authentications: tuple[Authentication, ...] = ()
    """The login first. Empty for a session that began before version 0.2, and in an impersonation."""
    actor_id: UUID | None = None
    """The administrator who works in the account in this session, or None."""
    actor_name: str | None = None
    """The same for an operator, who may have no account."""
    actor_session_id: UUID | None = None
    """The administrator's own session, with which this one ends."""
    impersonation_reason: str | None = None
    impersonation_id: UUID | None = None
    """In a session of an administrator: the latest session in the account of somebody else that it began."""

    @property
    def actor(self) -> Actor | None:
        """Who works in the account of somebody else in this session, or None if it is the user's own."""
        if self.actor_id is not None:
            return Actor("user", self.actor_id)
        return Actor("operator", name=self.actor_name) if self.actor_name is not None else None

    def has_expired(self, now: datetime, idle: float) -> bool:
        """Return whether its time is over, or it was not used for more than ``idle`` seconds."""
        return self.expires_at <= now or (now - self.last_seen_at).total_seconds() > idle


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login between the first proof and the session; implements `authhost_hookspecs.PendingLogin`."""

    user: User
    authentications: tuple[Authentication, ...]
    started: datetime
    password_tag: str = field(repr=False)
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingStep:
    """What a pending login waits for.

    ``key`` is ``email_verification``, or the plugin's name, a dot and the key of its step.
    ``path`` is where it is completed, below the prefix of the pages and that of the API.
    """

    key: str
    path: str
    methods: tuple[str, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class LoginResult:
    """A completed login, or a pending login and what it waits for.

    Store ``session_token`` in the session cookie. If the login is pending, it is
    the token of the user who was logged in before, and who stays logged in. If
    nobody was logged in, it is the token of the pending login.

    ``pending_token`` is set if the login is pending. Store it in a separate cookie
    and pass it to ``host.request(pending_token=…)``: it proves that the
    confirmation is made in the browser of the signup.

    ``waits_for`` is the key of the first of ``steps``, such as ``email_verification``.

    ``device_token`` is set if the person is logged in. Store it in a long-lived
    cookie: failed logins of other people then do not lock this browser out.
    """

    session_token: str = field(repr=False)
    user: User | None = None
    waits_for: str | None = None
    pending_token: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)
    steps: tuple[PendingStep, ...] = ()

    @property
    def authenticated(self) -> bool:
        """Whether the person is logged in."""
        return self.waits_for is None


@dataclass(frozen=True, slots=True)
class TokenResult:
    """The new token of the session, after a change that requires one."""

    session_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A session in which an administrator works in the account of ``user``.

    ``session_token`` is shown once: only a digest of it is stored.
    """

    session_token: str = field(repr=False)
    user: User
    session: Session


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a new password must be like (NIST SP 800-63B-4, section 3.1.1.2). No composition is required.

    Lengths are in characters, after Unicode normalisation (NFKC). Passwords that are common, that
    repeat the name of the site, the address or the username, or that are a sequence of keys, are
    refused, and plugins can refuse more.
    """

    min_length: int
    max_length: int


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """A confirmed address; ``login`` is set if the confirmation logged the person in.

    ``recovered`` is true if the account's password, connections and sessions were
    removed, since nothing proved that they belong to the owner of the mailbox.
    Offer a password reset then.
    """

    email_address: EmailAddress
    login: LoginResult | None = None
    recovered: bool = False


class Given(Mapping[str, str]):
    """The texts that the application gave a request, by name. Its repr has the names only.

    A value may be a secret: who has an invitation code can use it.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Given({', '.join(self._values)})"


NOTHING_GIVEN = Given({})


def frozen(value: Any) -> Any:
    """Return an immutable copy of a JSON value, including nested values."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(each) for each in value)
    return value


def thawed(value: Any) -> Any:
    """Return a copy with plain dicts and lists, which can be serialised as JSON."""
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
    name: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    picture: str | None = field(default=None, repr=False)

    @classmethod
    def of_row(cls, row: Any) -> Self:
        """Return the record of a row with `statements.SOCIAL_COLUMNS`."""
        values: dict[str, Any] = row._asdict()
        return cls(**{**values, "extra_data": frozen(values["extra_data"])})

    def values(self) -> dict[str, Any]:
        """Return the values of the row, by column."""
        columns = {name: getattr(self, name) for name in self.__slots__}
        return {**columns, "extra_data": thawed(self.extra_data)}


@dataclass(frozen=True, slots=True)
class SocialEmail:
    """An address from a provider; ``verified`` is true only if the provider is trusted to verify it."""

    email: str
    verified: bool
    primary: bool


class Unpicklable:
    """An object that refers to secrets, such as the keys of a host, so it cannot be pickled or copied."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} refers to secrets and cannot be pickled or copied")


class SocialToken(Unpicklable):
    """A provider's token. Its repr contains no secret, and it cannot be pickled or converted to a dict."""

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
        """Return the access token. Do not write it to logs or tables."""
        return self._value

    def reveal_secret(self) -> str | None:
        """Return the token secret of OAuth 1.0a, or None."""
        return self._secret

    def reveal_refresh(self) -> str | None:
        """Return the refresh token, or None."""
        return self._refresh

    def __repr__(self) -> str:
        return f"SocialToken(expires_at={self.expires_at!r}, scopes={self.scopes!r})"


@dataclass(frozen=True, slots=True)
class SocialRedirect:
    """The URL to redirect the browser to. Store ``state_token`` in a cookie until the callback.

    ``cookie_name`` is a unique name for that cookie. `authhost.socialaccount.cookie_name`
    returns it for the parameters of the callback.
    """

    url: str
    state_token: str = field(repr=False)
    cookie_name: str = ""


@dataclass(frozen=True, slots=True)
class SocialResult:
    """The result of a callback from a provider.

    Exactly one of these holds: ``login`` is set (process ``login``; it may be a
    pending login), ``signup_token`` is set (``socialaccount.signup`` creates the
    account after the person has entered what is ``missing``), ``stopped`` is true
    (a plugin ended the flow with ``response``), or the process ``connect`` or
    ``redirect`` is complete.
    """

    process: str
    account: SocialAccount
    next: str | None = None
    login: LoginResult | None = None
    signup_token: str | None = field(default=None, repr=False)
    missing: tuple[str, ...] = ()
    stopped: bool = False
    response: Any = None
