"""What plugins may read of a person at a provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class SocialToken(Protocol):
    """A provider's token. Its repr contains no secret; `reveal` returns the token."""

    @property
    def expires_at(self) -> datetime | None:
        """When the access token expires, or None if the provider does not say."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the provider has granted, if it says so."""

    def reveal(self) -> str:
        """Return the access token, for calls of the provider. Do not write it to logs or tables."""

    def reveal_secret(self) -> str | None:
        """Return the token secret of OAuth 1.0a, or None."""


class SocialEmail(Protocol):
    """An e-mail address from a provider."""

    @property
    def email(self) -> str:
        """The address, normalised."""

    @property
    def verified(self) -> bool:
        """Whether the provider says that the person owns it, and is trusted to verify addresses."""

    @property
    def primary(self) -> bool:
        """Whether the provider prefers it."""


class SocialAccount(Protocol):
    """A person at a provider."""

    @property
    def id(self) -> UUID | None:
        """The row's identifier, or None if it is not connected yet."""

    @property
    def user_id(self) -> UUID | None:
        """The identifier of the local account, or None if there is none yet."""

    @property
    def provider(self) -> str:
        """The provider's id in the host's settings, such as ``github``."""

    @property
    def uid(self) -> str:
        """The person's identifier at the provider."""

    @property
    def name(self) -> str | None:
        """The full display name, as the provider's declaration has read it, or None. Since contract 1.1.

        The person can choose any name and username at most providers: show them, but do
        not identify anybody by them. They have at most 255 characters.
        """

    @property
    def username(self) -> str | None:
        """The username at the provider, or None. It can change, and another person can get it. Since 1.1."""

    @property
    def picture(self) -> str | None:
        """The ``http`` or ``https`` URL of a picture, or None. Since contract 1.1.

        A request of it goes to a server that the person may have chosen. Its length is
        at most 2048 characters.
        """

    @property
    def extra_data(self) -> Mapping[str, Any]:
        """The profile as the provider sent it, without tokens. It cannot be changed: its lists are tuples."""

    @property
    def date_joined(self) -> datetime:
        """When it was connected."""

    @property
    def last_login(self) -> datetime:
        """When the person last logged in through the provider."""
