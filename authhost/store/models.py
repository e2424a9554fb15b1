"""The tables as ORM classes, for the queries and relationships of applications.

The flows use the tables themselves, so that ``import authhost`` needs no ORM.
Read through these; write through the flows, which tell the plugins.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.orm import DeclarativeBase, Mapped

from authhost.records import Authentication
from authhost.store import tables

metadata = tables.metadata


class Base(DeclarativeBase):
    """The base of authhost's models."""

    metadata = metadata


class User(Base):
    """An account."""

    __table__ = tables.users
    if TYPE_CHECKING:
        id: Mapped[UUID]
        username: Mapped[str | None]
        username_key: Mapped[str | None]
        password: Mapped[str | None]
        is_active: Mapped[bool]
        ready_at: Mapped[datetime | None]
        date_joined: Mapped[datetime]
        last_login: Mapped[datetime | None]
        login_guards: Mapped[tuple[str, ...]]
        deactivated_at: Mapped[datetime | None]
        deactivated_until: Mapped[datetime | None]
        deactivation_reason: Mapped[str | None]
        awaits_owner: Mapped[bool | None]


class EmailAddress(Base):
    """An e-mail address of an account."""

    __table__ = tables.addresses
    if TYPE_CHECKING:
        id: Mapped[UUID]
        user_id: Mapped[UUID]
        email: Mapped[str]
        email_key: Mapped[str]
        verified: Mapped[bool]
        claim_key: Mapped[str | None]
        primary_of: Mapped[UUID | None]


class EmailConfirmation(Base):
    """A confirmation that was sent."""

    __table__ = tables.confirmations
    if TYPE_CHECKING:
        id: Mapped[UUID]
        email_address_id: Mapped[UUID]
        key_digest: Mapped[bytes]
        sent: Mapped[datetime]
        expires: Mapped[datetime]


class PasswordReset(Base):
    """A reset that was asked for."""

    __table__ = tables.resets
    if TYPE_CHECKING:
        id: Mapped[UUID]
        user_id: Mapped[UUID | None]
        key_digest: Mapped[bytes]
        sent: Mapped[datetime]
        expires: Mapped[datetime]


class Session(Base):
    """A logged-in session."""

    __table__ = tables.sessions
    if TYPE_CHECKING:
        id: Mapped[UUID]
        user_id: Mapped[UUID]
        token_digest: Mapped[bytes]
        created_at: Mapped[datetime]
        authenticated_at: Mapped[datetime]
        last_seen_at: Mapped[datetime]
        expires_at: Mapped[datetime]
        method: Mapped[str]
        provider: Mapped[str | None]
        ip_address: Mapped[str | None]
        user_agent: Mapped[str]
        authentications: Mapped[tuple[Authentication, ...]]
        actor_id: Mapped[UUID | None]
        actor_name: Mapped[str | None]
        actor_session_id: Mapped[UUID | None]
        impersonation_reason: Mapped[str | None]
        impersonation_id: Mapped[UUID | None]


class SocialAccount(Base):
    """A person at a provider, connected to an account."""

    __table__ = tables.social_accounts
    if TYPE_CHECKING:
        id: Mapped[UUID]
        user_id: Mapped[UUID]
        provider: Mapped[str]
        issuer: Mapped[str]
        uid: Mapped[str]
        extra_data: Mapped[dict[str, Any]]
        date_joined: Mapped[datetime]
        last_login: Mapped[datetime]
        name: Mapped[str | None]
        username: Mapped[str | None]
        picture: Mapped[str | None]
