"""Challenges: bound to what they are for, valid for five minutes, and accepted once.

A challenge is a sealed text, so nothing is stored when it is made. The browser returns it inside of what
the authenticator signs. It opens only with the same purpose: a response for another account, session or
action is refused. It has 256 random bits (13.4.3 asks for 128).
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from authhost_hookspecs import CannotOpen, PendingLogin, Request
from sqlalchemy import Table, delete, select
from sqlalchemy.exc import IntegrityError

from authhost_mfa.webauthn.errors import ChallengeExpired, ChallengeUsed, InvalidCredential
from authhost_mfa.webauthn.responses import parse_response

CHALLENGE_SECONDS = 300
CLOCK_SKEW_SECONDS = 60
"""How far the clock of the server that has made the challenge may be ahead of this one's."""
MAX_CHALLENGE = 1024
RANDOM_BYTES = 32
PREFIX = "mfa webauthn challenge for "


def purpose_of_login() -> str:
    """Return the purpose of a login by a passkey, before it is known who it is."""
    return PREFIX + "login"


def purpose_of_pending_login(pending: PendingLogin) -> str:
    """Return the purpose of a step of this pending login, and of no other one of the same account."""
    return f"{PREFIX}pending login of {pending.user.id} since {pending.started.astimezone(UTC).isoformat()}"


def purpose_of_registration(user_id: UUID, session_id: UUID) -> str:
    """Return the purpose of adding a credential to the account in this session."""
    return f"{PREFIX}registration by {user_id} in session {session_id}"


def purpose_of_enrolment(pending: PendingLogin) -> str:
    """Return the purpose of adding a credential to the account as a step of this pending login."""
    return f"enrolment: {purpose_of_pending_login(pending)}"


def purpose_of_reauthentication(user_id: UUID, session_id: UUID) -> str:
    """Return the purpose of a reauthentication of the user in this session."""
    return f"{PREFIX}reauthentication of {user_id} in session {session_id}"


def purpose_of_signup(user_handle: bytes) -> str:
    """Return the purpose of a signup with a passkey; ``user_handle`` is that of its options."""
    return f"{PREFIX}signup of {user_handle.hex()}"


def new_challenge(request: Request, purpose: str) -> bytes:
    """Return a new challenge for options."""
    text = f"{secrets.token_urlsafe(RANDOM_BYTES)} {request.now.timestamp():.0f}"
    return request.seal(text, purpose).encode("ascii")


def open_challenge(request: Request, table: Table, response: str, purpose: str) -> bytes:
    """Return the challenge of a response, to verify the response. Writes nothing.

    Raises `InvalidCredential` if it was made for another purpose, or not by this site,
    `ChallengeExpired` and `ChallengeUsed`.
    """
    challenge = parse_response(response).challenge
    age = (request.now - _made(request, challenge, purpose)).total_seconds()
    if age > CHALLENGE_SECONDS:
        raise ChallengeExpired
    if age < -CLOCK_SKEW_SECONDS:
        raise InvalidCredential
    with request.host.reader.connect() as connection:
        recorded = connection.execute(select(table.c.digest).where(table.c.digest == _digest(challenge)))
        if recorded.first() is not None:
            raise ChallengeUsed
    return challenge


def use_challenge(request: Request, table: Table, challenge: bytes) -> None:
    """Record that a challenge from `open_challenge` is used; raises `ChallengeUsed`.

    The record is part of the unit of work: if the flow is refused, nothing was used. If two
    requests use a challenge at the same time, one of them is refused.
    """
    lasts = timedelta(seconds=CHALLENGE_SECONDS + CLOCK_SKEW_SECONDS)
    row = {"digest": _digest(challenge), "expires_at": request.now + lasts}
    try:
        with request.db.begin_nested():
            request.db.execute(table.insert(), row)
    except IntegrityError:
        raise ChallengeUsed from None


def delete_expired_challenges(database: Any, table: Table, now: datetime) -> int:
    """Delete the records of challenges that are refused by their age; return how many.

    ``database`` is a SQLAlchemy session or connection.
    """
    deleted = database.execute(delete(table).where(table.c.expires_at < now))
    return int(deleted.rowcount)


def _digest(challenge: bytes) -> bytes:
    return sha256(challenge).digest()


def _made(request: Request, challenge: bytes, purpose: str) -> datetime:
    """Return when the challenge was made; raises `InvalidCredential`."""
    if not 0 < len(challenge) <= MAX_CHALLENGE:
        raise InvalidCredential
    try:
        _, _, made = request.open(challenge.decode("ascii"), purpose).partition(" ")
        return datetime.fromtimestamp(int(made), UTC)
    except (CannotOpen, ValueError):
        raise InvalidCredential from None
