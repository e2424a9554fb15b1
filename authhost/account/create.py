"""Stores a new account with its address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from authhost.account.verification import MAX_ATTEMPTS, may_claim
from authhost.errors import Conflict, UsernameTaken
from authhost.records import EmailAddress, User
from authhost.request import Request
from authhost.security.inputs import Email, key_of, username as parse_username
from authhost.store import queries, statements


def new_username(request: Request, username: str | None) -> str | None:
    """Return the username of a new account as it is stored, or None without one; raises `InvalidInput`."""
    if username is None:
        return None
    settings = request.settings
    return parse_username(
        username, settings.username_min_length, settings.username_max_length, settings.username_scripts
    )


def store_account(
    request: Request,
    address: Email | None,
    *,
    name: str | None,
    password: str | None,
    verified: bool = False,
    ready: bool = False,
    by_signup: bool = True,
) -> tuple[User, EmailAddress | None, bool] | None:
    """Store the account; return it, its address, and whether the account claims the address.

    Returns None if the address is taken (the database decides). With ``ready``,
    the caller calls `account_ready`, and the row says so.

    With mandatory verification the account is stored even if the address is taken:
    its address claims nothing and cannot be confirmed. So a taken address behaves
    like a free one in all later flows (ASVS 5.0, 6.3.8). Until the address is
    confirmed, the account expires after ``unverified_account_timeout``, and what the
    signup was given is stored for the hooks of its completion. An account that an
    administrator creates (``by_signup=False``) does not expire, and needs a free address.

    Raises `UsernameTaken`, `Conflict`.
    """
    mandatory = by_signup and request.settings.email_verification == "mandatory"
    for _ in range(MAX_ATTEMPTS):
        claims = address is None or may_claim(request, address.key, verified=verified)
        if not claims and not mandatory:
            return None
        try:
            with request.savepoint():
                user, record = _insert_account(
                    request,
                    address,
                    name=name,
                    password=password,
                    verified=verified and claims,
                    claims=claims,
                    ready=ready,
                    expires=mandatory and not verified,
                    awaits_owner=not (by_signup or verified or address is None),
                )
            return user, record, claims
        except IntegrityError as error:
            if name is not None and queries.account_by_username(request, key_of(name)) is not None:
                raise UsernameTaken(field="username") from error
            if by_signup and not mandatory:
                return None
            # Another signup has claimed the address in the meantime: try again.
    raise Conflict


def _insert_account(
    request: Request,
    address: Email | None,
    *,
    name: str | None,
    password: str | None,
    verified: bool,
    claims: bool,
    ready: bool,
    expires: bool,
    awaits_owner: bool,
) -> tuple[User, EmailAddress | None]:
    now = request.now
    end = now + timedelta(seconds=request.settings.unverified_account_timeout) if expires else None
    email = address.address if address else None
    user = User(request.new_id(), name, email, True, password is not None, now, None, verified)
    row: dict[str, Any] = {
        "id": user.id,
        "username": name,
        "username_key": key_of(name) if name else None,
        "password": password,
        "is_active": True,
        "date_joined": now,
        "ready_at": now if ready else None,
        "signup_expires": end,
        "awaits_owner": awaits_owner or None,
    }
    if request.given and expires:
        row["signup_given"] = request.services.encryption.seal(dict(request.given))
    request.send_statement(statements.INSERT_USER, row)
    if address is None:
        return user, None
    return user, insert_address(request, user, address, verified=verified, primary=True, claims=claims)


def insert_address(
    request: Request, user: User, address: Email, *, verified: bool, primary: bool, claims: bool = True
) -> EmailAddress:
    """Store an address; raises `IntegrityError` if it claims a key that is taken."""
    record = EmailAddress(request.new_id(), user.id, address.address, verified, primary)
    request.send_statement(
        statements.INSERT_ADDRESS,
        {
            "id": record.id,
            "user_id": user.id,
            "email": address.address,
            "email_key": address.key,
            "verified": verified,
            "claim_key": address.key if claims else None,
            "primary_of": user.id if primary else None,
        },
    )
    return record
