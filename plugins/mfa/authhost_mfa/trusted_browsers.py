"""Browsers in which a login needs no second factor for some days.

The browser has a random token, of which a digest is stored. The trust ends with any change of the
password or of the authenticators.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from authhost_hookspecs import PendingLogin, Request, utc
from sqlalchemy import delete, select

from authhost_mfa.policy import settings_of
from authhost_mfa.tables import trusted_browser_table

COOKIE = "__Host-mfa-trust"
TOKEN_BYTES, MAX_TOKEN = 32, 64


class TrustedBrowser(NamedTuple):
    """A trusted browser, for its user. ``is_this`` says whether the request comes from it."""

    id: UUID
    user_agent: str
    created_at: datetime
    expires_at: datetime
    is_this: bool


def _state(pending: PendingLogin, authenticators: Iterable[UUID]) -> str:
    """Return a text that changes with the password and the authenticators. A keyed hash of it is stored."""
    ids = " ".join(sorted(each.hex for each in authenticators))
    return f"mfa trust {pending.user.id} {pending.password_tag} {ids}"


def trust(request: Request, pending: PendingLogin, authenticators: Iterable[UUID]) -> None:
    """Trust this browser from now on. A new token replaces one that somebody may have planted."""
    days = settings_of(request).trust_days
    if not days:
        return
    now, token, table = request.now, secrets.token_urlsafe(TOKEN_BYTES), trusted_browser_table.c
    gone = delete(trusted_browser_table).where(table.user_id == pending.user.id, table.expires_at <= now)
    request.db.execute(gone)
    request.insert(
        trusted_browser_table,
        {
            "id": request.new_id(),
            "user_id": pending.user.id,
            "token_digest": _digest(token),
            "fingerprint": request.keyed_hash(_state(pending, authenticators)),
            "user_agent": request.user_agent,
            "created_at": now,
            "expires_at": now + timedelta(days=days),
        },
    )
    request.answer.set_cookie(COOKIE, token, max_age=int(days * 86400))


def is_trusted(request: Request, pending: PendingLogin, authenticators: Iterable[UUID]) -> bool:
    """Return whether the person's browser is trusted for this account. Without the cookie it is not."""
    token, table = request.cookies.get(COOKIE, ""), trusted_browser_table.c
    if not 0 < len(token) <= MAX_TOKEN or not settings_of(request).trust_days:
        return False
    wanted = select(table.fingerprint, table.expires_at).where(
        table.token_digest == _digest(token), table.user_id == pending.user.id
    )
    with request.host.reader.connect() as connection:
        row = connection.execute(wanted).first()
    if row is None or utc(row.expires_at) <= request.now:
        return False
    expected = request.keyed_hashes(_state(pending, authenticators))
    return any(secrets.compare_digest(str(row.fingerprint), each) for each in expected)


def of_user(request: Request, user_id: UUID) -> list[TrustedBrowser]:
    """Return the trusted browsers of a user, the newest first."""
    table, here = trusted_browser_table.c, _digest(request.cookies.get(COOKIE, ""))
    wanted = select(trusted_browser_table).where(table.user_id == user_id, table.expires_at > request.now)
    with request.host.reader.connect() as connection:
        rows = connection.execute(wanted.order_by(table.id.desc())).all()
    return [
        TrustedBrowser(
            row.id,
            row.user_agent,
            utc(row.created_at),
            utc(row.expires_at),
            secrets.compare_digest(bytes(row.token_digest), here),
        )
        for row in rows
    ]


def revoke(request: Request, user_id: UUID, identifier: UUID) -> bool:
    """End the trust in one browser; return whether it was trusted."""
    table = trusted_browser_table.c
    revoked = delete(trusted_browser_table).where(table.id == identifier, table.user_id == user_id)
    return bool(request.db.execute(revoked).rowcount)


def end_trust(request: Request, user_id: UUID) -> None:
    """Delete the trusted browsers of a user."""
    request.db.execute(delete(trusted_browser_table).where(trusted_browser_table.c.user_id == user_id))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
