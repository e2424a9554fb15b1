"""What flows hand out: small immutable values that outlive their transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


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

    ``session_token`` belongs in the person's cookie in both cases: it stands
    for the session, or for the login that waits.
    """

    session_token: str = field(repr=False)
    user: User | None = None
    waits_for: str | None = None

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
    """An address was confirmed; ``login`` is set where that logged the person in."""

    email_address: EmailAddress
    login: LoginResult | None = None
