"""Credentials as values, and what their responses prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class KnownCredential(Protocol):
    """A credential that options name, so that a browser finds or excludes it."""

    @property
    def credential_id(self) -> bytes:
        """The id, at most 1023 bytes."""

    @property
    def transports(self) -> tuple[str, ...]:
        """How the browser reaches it, such as ``internal``, ``usb`` or ``hybrid``."""


class StoredCredential(Protocol):
    """What is stored of a credential and is needed to verify an authentication."""

    @property
    def credential_id(self) -> bytes:
        """The id."""

    @property
    def public_key(self) -> bytes:
        """The public key in the form of COSE (RFC 9053)."""

    @property
    def sign_count(self) -> int:
        """The signature counter of the latest authentication; 0 if the authenticator does not count."""

    @property
    def backup_eligible(self) -> bool:
        """Whether the credential could be synchronised when it was registered: that never changes."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential whose registration was verified."""

    credential_id: bytes
    """At most 1023 bytes."""
    public_key: bytes
    """In the form of COSE (RFC 9053), at most 1024 bytes."""
    sign_count: int
    aaguid: str
    """The model of the authenticator as a UUID; only zeros if it does not tell. It is not proved."""
    transports: tuple[str, ...]
    user_verified: bool
    """Whether the authenticator has verified its user, by a PIN or a biometric."""
    backup_eligible: bool
    """Whether the credential may be synchronised to other devices."""
    backed_up: bool
    discoverable: bool | None
    """Whether a login without a username finds it; None if the browser does not say."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified authentication. Store ``sign_count`` and ``backed_up``."""

    sign_count: int
    user_verified: bool
    """Whether it proves two factors: the authenticator, and its user."""
    backed_up: bool
    user_handle: bytes | None
    """The handle of the account, from a discoverable credential. Compare it with that of the account."""
