"""A new account, with its address."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from authhost.errors import UsernameTaken
from authhost.inputs import Email, key_of
from authhost.records import EmailAddress, User
from authhost.request import Request
from authhost.store import queries, statements


def store_account(
    request: Request,
    address: Email | None,
    *,
    name: str | None,
    password: str | None,
    verified: bool = False,
) -> tuple[User, EmailAddress | None] | None:
    """Store the account, or return None where the address is taken: the database decides.

    Raises `UsernameTaken`.
    """
    now = request.now
    user = User(
        request.new_id(), name, address.address if address else None, True, password is not None, now, None
    )
    try:
        with request.connection.begin_nested():
            request.write(
                statements.INSERT_USER,
                {
                    "id": user.id,
                    "username": name,
                    "username_key": key_of(name) if name else None,
                    "password": password,
                    "is_active": True,
                    "date_joined": now,
                },
            )
            if address is None:
                return user, None
            return user, insert_address(request, user, address, verified=verified, primary=True)
    except IntegrityError as error:
        if name is not None and queries.account_by_username(request, key_of(name)) is not None:
            raise UsernameTaken(field="username") from error
        return None


def insert_address(
    request: Request, user: User, address: Email, *, verified: bool, primary: bool
) -> EmailAddress:
    """Store an address that claims its key; `IntegrityError` where it is taken."""
    record = EmailAddress(request.new_id(), user.id, address.address, verified, primary)
    request.write(
        statements.INSERT_ADDRESS,
        {
            "id": record.id,
            "user_id": user.id,
            "email": address.address,
            "email_key": address.key,
            "verified": verified,
            "claim_key": address.key,
            "primary_of": user.id if primary else None,
        },
    )
    return record
