"""Recovery codes: shown once, stored as digests, each used once.

A code has 120 bits, so an unsalted hash is enough (ASVS 5.0, 6.5.2: at least 112 bits), and it cannot be
guessed, so that attempts need no limit (6.6.3). Letters that look alike are the same (base 32 of Crockford).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple
from uuid import UUID

from authhost_hookspecs import Request, User, utc
from sqlalchemy import Executable, Row, delete, func, insert, select

from authhost_mfa.policy import settings_of
from authhost_mfa.tables import recovery_code_table
from authhost_mfa.values import RECOVERY_CODES, Authenticator

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, GROUP = 24, 4
SAME = str.maketrans({"O": "0", "I": "1", "L": "1"})


class CodeSet(NamedTuple):
    """New recovery codes, in clear, and what hooks get of them. They are shown once."""

    codes: tuple[str, ...]
    authenticator: Authenticator


def new_code(length: int = LENGTH) -> str:
    """Return a random code of ``length`` characters with 5 bits each, in groups."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(length))
    return "-".join(letters[start : start + GROUP] for start in range(0, length, GROUP))


def normalised(code: str) -> str:
    """Return a code as it was typed, without spaces and dashes, in capitals, with digits for O, I and L."""
    return "".join(each for each in code.upper() if each.isalnum()).translate(SAME)


def digest(code: str) -> bytes:
    """Return what is stored of a code."""
    return hashlib.sha256(normalised(code).encode("utf-8", "replace")).digest()


def of_user(request: Request, user_id: UUID) -> Authenticator | None:
    """Return the recovery codes of a user as they are stored, or None if none is left."""
    with request.host.reader.connect() as connection:
        row = connection.execute(_counted(user_id)).one()
    return _authenticator(row)


def count(request: Request, user_id: UUID) -> int:
    """Return how many recovery codes of a user are left."""
    codes = of_user(request, user_id)
    return (codes.remaining or 0) if codes is not None else 0


def of_user_now(request: Request, user_id: UUID) -> Authenticator | None:
    """Return the same within the transaction of the request."""
    return _authenticator(request.db.execute(_counted(user_id)).one())


def _counted(user_id: UUID) -> Executable:
    table = recovery_code_table.c
    return select(func.count().label("codes"), func.min(table.created_at).label("since")).where(
        table.user_id == user_id
    )


def _authenticator(row: Row[Any]) -> Authenticator | None:
    if not row.codes:
        return None
    return Authenticator(None, RECOVERY_CODES, "", utc(row.since), remaining=row.codes)


def replace(request: Request, user: User) -> CodeSet:
    """Store new codes for a user instead of the old ones."""
    delete_all(request, user.id)
    codes = tuple(new_code() for _ in range(settings_of(request).recovery_codes))
    rows = [
        {"id": request.new_id(), "user_id": user.id, "code_digest": digest(each), "created_at": request.now}
        for each in codes
    ]
    request.db.execute(insert(recovery_code_table), rows)
    return CodeSet(codes, Authenticator(None, RECOVERY_CODES, "", request.now, remaining=len(codes)))


def exists(request: Request, user_id: UUID, code: str) -> bool:
    """Return whether a code is one of the user's. It may be used up by another request before `use`."""
    table = recovery_code_table.c
    with request.host.reader.connect() as connection:
        found = connection.execute(
            select(table.id).where(table.code_digest == digest(code), table.user_id == user_id)
        )
        return found.first() is not None


def use(request: Request, user_id: UUID, code: str) -> bool:
    """Delete a code; return whether it was this call that deleted it."""
    table = recovery_code_table.c
    used = delete(recovery_code_table).where(table.code_digest == digest(code), table.user_id == user_id)
    return bool(request.db.execute(used).rowcount)


def delete_all(request: Request, user_id: UUID) -> None:
    """Delete all codes of a user."""
    request.db.execute(delete(recovery_code_table).where(recovery_code_table.c.user_id == user_id))
