"""Everything that is stored of one account, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from authhost.account.sessions import live_sessions
from authhost.records import EmailAddress, Session, SocialAccount, SocialToken, Unpicklable, User
from authhost.request import Request
from authhost.security.encryption import Encryption
from authhost.socialaccount import tokens
from authhost.store import queries, statements

if TYPE_CHECKING:
    import authhost_hookspecs as contract


class StoredToken(Unpicklable):
    """A stored token, which is decrypted when it is needed; implements `authhost_hookspecs.SocialToken`."""

    __slots__ = ("_encryption", "_sealed")

    def __init__(self, encryption: Encryption, sealed: bytes) -> None:
        self._encryption, self._sealed = encryption, sealed

    @property
    def expires_at(self) -> datetime | None:
        """When the access token expires, or None if the provider did not say."""
        return self._open().expires_at

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the provider has granted."""
        return self._open().scopes

    def reveal(self) -> str:
        """Return the access token. Do not write it to logs or tables."""
        return self._open().reveal()

    def reveal_secret(self) -> str | None:
        """Return the token secret of OAuth 1.0a, or None."""
        return self._open().reveal_secret()

    def _open(self) -> SocialToken:
        return tokens.from_values(self._encryption.open(self._sealed))

    def __repr__(self) -> str:
        return "StoredToken()"


@dataclass(frozen=True, slots=True)
class Account(Unpicklable):
    """One account; implements `authhost_hookspecs.Account`."""

    user: User
    email_addresses: tuple[EmailAddress, ...]
    social_accounts: tuple[SocialAccount, ...]
    sessions: tuple[Session, ...]
    password_reset_required: bool
    _tokens: Mapping[UUID, StoredToken] = field(repr=False)

    def social_token(self, social_account: contract.SocialAccount) -> StoredToken | None:
        """Return the token that is stored for an account at a provider, or None."""
        return self._tokens.get(social_account.id) if social_account.id is not None else None


def read_account(request: Request, user_id: UUID) -> Account | None:
    """Return what is stored of an account now, or None if there is no such account."""
    found = queries.account_by_id(request, user_id)
    if found is None:
        return None
    social_accounts = tuple(queries.social_accounts(request, user_id))
    sealed = request.read(statements.SOCIAL_TOKENS, {"of_user": user_id}) if social_accounts else ()
    encryption = request.services.encryption
    return Account(
        found.user,
        tuple(queries.addresses(request, user_id)),
        social_accounts,
        tuple(live_sessions(request, user_id)),
        request.services.passwords.needs_reset(found.password),
        {row.account_id: StoredToken(encryption, row.sealed) for row in sealed},
    )
