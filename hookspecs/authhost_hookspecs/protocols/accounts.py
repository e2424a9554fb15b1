"""What plugins may read of a local account."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from authhost_hookspecs.declarations import Actor, Factor
from authhost_hookspecs.protocols.socialaccounts import SocialAccount, SocialToken


class User(Protocol):
    """A local account."""

    @property
    def id(self) -> UUID:
        """The account's identifier; it never changes."""

    @property
    def username(self) -> str | None:
        """The username as it was typed at signup, or None."""

    @property
    def email(self) -> str | None:
        """The primary address, or None if the account has none. It may be unverified."""

    @property
    def email_verified(self) -> bool:
        """Whether the owner of the primary address has confirmed it. Since contract 1.1.

        Grant rights by the address or its domain only if this is true: anybody can
        sign up with an address that is not theirs.
        """

    @property
    def is_active(self) -> bool:
        """False after the account was deactivated."""

    @property
    def has_usable_password(self) -> bool:
        """Whether the account has a password. Plugins never get the hash."""

    @property
    def date_joined(self) -> datetime:
        """When the account signed up."""

    @property
    def last_login(self) -> datetime | None:
        """When the user last logged in, including the current login."""

    @property
    def login_guards(self) -> tuple[str, ...]:
        """The plugins without which nobody can log in to the account; see `Logins.guard`. Since 1.1."""

    @property
    def deactivated_until(self) -> datetime | None:
        """When a deactivation by an administrator ends by itself; None if it does not. Since 1.1."""

    @property
    def deactivation_reason(self) -> str | None:
        """Why an administrator has deactivated the account, or None. The user is not told. Since 1.1."""


class EmailAddress(Protocol):
    """An e-mail address of an account."""

    @property
    def id(self) -> UUID:
        """The row's identifier. In `email_removed` it is set although the row is deleted."""

    @property
    def user_id(self) -> UUID:
        """The account that the address belongs to."""

    @property
    def email(self) -> str:
        """The address, normalised."""

    @property
    def verified(self) -> bool:
        """Whether its owner has confirmed it."""

    @property
    def primary(self) -> bool:
        """Whether it is the account's primary address."""


class EmailConfirmation(Protocol):
    """A confirmation that was passed to `deliver_message`. It does not contain the key."""

    @property
    def id(self) -> UUID:
        """The confirmation's identifier."""

    @property
    def email_address(self) -> EmailAddress:
        """The address to be confirmed."""

    @property
    def sent(self) -> datetime:
        """When it was passed to `deliver_message`."""

    @property
    def expires(self) -> datetime:
        """When its key becomes invalid."""


class Session(Protocol):
    """A logged-in session. It does not contain the token, of which only a digest is stored."""

    @property
    def id(self) -> UUID:
        """The session's identifier. It stays the same if the token changes."""

    @property
    def user_id(self) -> UUID:
        """The account that is logged in."""

    @property
    def authenticated_at(self) -> datetime:
        """When the person last authenticated."""

    @property
    def expires_at(self) -> datetime:
        """When it ends at the latest. Since 1.1."""

    @property
    def method(self) -> str:
        """The method of the first authentication; see `Authentication`."""

    @property
    def actor(self) -> Actor | None:
        """Who works in the account in this session instead of the user, or None. Since 1.1.

        It is an administrator or an operator; see `AccountChanges.impersonate`. Refuse what only
        the user may do if this is set.
        """

    @property
    def impersonation_reason(self) -> str | None:
        """Why they do so, or None. Only an export of the account shows it to the user. Since 1.1."""


class Impersonation(Protocol):
    """A session in which an administrator works in the account of a user. Since 1.1."""

    @property
    def session_token(self) -> str:
        """The token of the session, for its cookie or for ``Authorization: Bearer``. It is a secret."""

    @property
    def user(self) -> User:
        """The user whose account it is."""

    @property
    def session(self) -> Session:
        """The session."""


class Authentication(Protocol):
    """One authentication of the person."""

    @property
    def method(self) -> str:
        """``password``, ``email_confirmation``, ``password_reset``, ``socialaccount``, or a plugin's word.

        It is ``impersonation`` for an administrator in the account of somebody else.
        """

    @property
    def time(self) -> datetime:
        """When the person authenticated."""

    @property
    def provider(self) -> str | None:
        """The provider's id if the method is ``socialaccount``, or None."""

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What it has proved. A passkey that has verified the person proves two factors. Since 1.1.

        It is empty for a provider that says nothing about how the person authenticated.
        """


class Account(Protocol):
    """Everything that is stored of one account, as it was when it was read. Since 1.1.

    It does not change afterwards, and can be used after the request has ended.
    """

    @property
    def user(self) -> User:
        """The user. ``email_verified`` says whether the primary address is verified."""

    @property
    def email_addresses(self) -> tuple[EmailAddress, ...]:
        """The addresses, oldest first."""

    @property
    def social_accounts(self) -> tuple[SocialAccount, ...]:
        """The connected accounts at providers, oldest first."""

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that had not expired, newest first."""

    @property
    def password_reset_required(self) -> bool:
        """Whether an administrator requires a new password: the present one is accepted no more."""

    def social_token(self, social_account: SocialAccount) -> SocialToken | None:
        """Return the token that is stored for one of ``social_accounts``, or None if none is stored.

        Tokens are stored only if the setting ``store_social_tokens`` is on. The token
        is decrypted when one of its attributes is read or `reveal` is called, which
        raises `CannotOpen` if the key was removed. It may have expired.
        """
