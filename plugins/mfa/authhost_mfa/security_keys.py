"""The stored passkeys and security keys: finds them, verifies a response of one, and records its use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from authhost_hookspecs import Request, utc
from sqlalchemy import Row, select, update

from authhost_mfa import authenticators
from authhost_mfa.languages import language_of
from authhost_mfa.tables import authenticator_table, used_challenge_table
from authhost_mfa.values import NAME, WEBAUTHN, Authenticator
from authhost_mfa.webauthn import (
    Assertion,
    InvalidCredential,
    UnknownCredential,
    WebAuthnRefused,
    challenges,
    credential_id_of,
    origins_of,
    request_options,
    rp_id_of,
    verify_authentication,
)


@dataclass(frozen=True, slots=True)
class SecurityKey:
    """A stored passkey or security key. ``authenticator`` is what hooks and pages get of it."""

    user_id: UUID
    authenticator: Authenticator
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backup_eligible: bool
    last_used_at: datetime | None
    """As the database returns it."""


def keys_of(request: Request, user_id: UUID, *, unused_since: datetime | None = None) -> list[SecurityKey]:
    """Return the keys of a user, the one that was used last first; without those used since a time."""
    rows = authenticators.rows_of(request, user_id, keys_unused_since=unused_since)
    return [_key(row) for row in rows if row.kind == WEBAUTHN]


def key_of_response(request: Request, response: str) -> SecurityKey:
    """Return the key, of whichever account, that a response names; raises `UnknownCredential`."""
    of_response = authenticator_table.c.credential_digest == sha256(credential_id_of(response)).digest()
    with request.host.reader.connect() as connection:
        row = connection.execute(select(authenticator_table).where(of_response)).first()
    if row is None:
        raise UnknownCredential
    return _key(row)


def open_challenge(request: Request, response: str, purpose: str) -> bytes:
    """Return the challenge of a response; raises a `WebAuthnRefused`. Writes nothing."""
    return challenges.open_challenge(request, used_challenge_table, response, purpose)


def options(request: Request, challenge: bytes, allowed: list[SecurityKey]) -> str:
    """Return the options for a field of the type ``public_key_get``."""
    return request_options(challenge, rp_id=rp_id_of(request.settings.base_url), allowed=allowed)


def verify(request: Request, key: SecurityKey, response: str, challenge: bytes) -> Assertion:
    """Return what a response proves of a key. Writes nothing; see `record_use`.

    A response with the handle of another account is refused: the browser has chosen a credential
    of that one.
    """
    base_url = request.settings.base_url
    found = verify_authentication(response, challenge, rp_id_of(base_url), origins_of(base_url), key)
    handle = authenticators.user_handle(request, key.user_id)
    if found.user_handle not in (None, handle):
        raise InvalidCredential
    return found


def record_use(request: Request, key: SecurityKey, assertion: Assertion, challenge: bytes) -> None:
    """Use up the challenge, and store the counter, the state of the backup and the time.

    The time of use never goes back, also if the clocks of servers differ. Raises `ChallengeUsed`, and
    `InvalidCredential` if another request has used or removed the key meanwhile.
    """
    use_up(request, challenge)
    table, now = authenticator_table.c, request.now
    unchanged = table.sign_count == key.sign_count, table.last_used_at == key.last_used_at
    values = {
        "sign_count": assertion.sign_count,
        "backed_up": assertion.backed_up,
        "last_used_at": max(now, utc(key.last_used_at)) if key.last_used_at is not None else now,
        **({"user_verified": True} if assertion.user_verified else {}),
    }
    used = update(authenticator_table).where(table.id == key.authenticator.id, *unchanged).values(values)
    if not request.db.execute(used).rowcount:
        raise InvalidCredential
    request.local(NAME)[authenticators.USED_KEY] = key.authenticator.id


def record_first_proof(request: Request, key: SecurityKey, started: datetime) -> None:
    """Store that a key was the first proof of a login that waits since ``started``.

    The time of its use is not earlier then, so that it is no second factor of this login; see
    `steps.first_key_use`.
    """
    table = authenticator_table.c
    earlier = table.id == key.authenticator.id, table.last_used_at < started
    request.db.execute(update(authenticator_table).where(*earlier).values(last_used_at=started))


def use_up(request: Request, challenge: bytes) -> None:
    """Record that a challenge is used, and delete the expired records after the commit."""
    challenges.use_challenge(request, used_challenge_table, challenge)
    host, now = request.host, request.now

    def delete_expired() -> None:
        with host.engine.begin() as connection:
            challenges.delete_expired_challenges(connection, used_challenge_table, now)

    request.on_commit(delete_expired)


@contextmanager
def translated(request: Request) -> Iterator[None]:
    """Raise the refusals of the block in the language of the request."""
    try:
        yield
    except WebAuthnRefused as refusal:
        raise refusal.translated(language_of(request).gettext) from None


def _key(row: Row[Any]) -> SecurityKey:
    return SecurityKey(
        row.user_id,
        authenticators.as_value(row),
        bytes(row.credential_id),
        bytes(row.public_key),
        row.sign_count,
        tuple(row.transports.split()),
        bool(row.backup_eligible),
        row.last_used_at,
    )
