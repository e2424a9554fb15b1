"""Accounts that an administrator creates, instead of a signup."""

from __future__ import annotations

from dataclasses import replace

from authhost.account.create import new_username, store_account
from authhost.account.password import send_reset_link
from authhost.account.verification import call_confirmed, mark_ready
from authhost.errors import EmailNotFound, EmailTaken, InvalidInput, UsernameTaken
from authhost.records import User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, key_of
from authhost.store import queries


def create_account(request: Request, email: str | None, username: str | None, *, verified: bool) -> User:
    """Store an account without a password, call the hooks of a signup, and return the account.

    The rules of signups do not apply: signup may be closed, `before_signup` is not called, a
    taken address is refused, and the account does not expire. It is ready when its owner has
    proved the address. Raises `InvalidInput`, `EmailTaken`, `UsernameTaken`.
    """
    if email is None and username is None:
        raise InvalidInput("An account needs an address or a username.", field="email")
    if email is None and verified:
        raise InvalidInput("Only an address can be verified.", field="email")
    address = parse_email(email) if email is not None else None
    name = new_username(request, username)
    if name is not None and queries.account_by_username(request, key_of(name)) is not None:
        raise UsernameTaken(field="username")
    created = store_account(request, address, name=name, password=None, verified=verified, by_signup=False)
    if created is None:
        raise EmailTaken(field="email")
    user, record, _ = created
    request.services.hooks.user_signed_up(request, user)
    if record is not None and verified:
        call_confirmed(request, record, None)
    elif record is None:
        mark_ready(request, user)
    return replace(user, email_verified=verified)


def send_invitation(request: Request, user: User) -> None:
    """Send a link to the primary address, by which its owner sets a password and proves the mailbox.

    It is valid for ``invitation_timeout``. Raises `EmailNotFound`, `DeliveryFailed`.
    """
    address = next((each for each in queries.addresses(request, user.id) if each.primary), None)
    if address is None:
        raise EmailNotFound(field="email")
    timeout = request.settings.invitation_timeout
    send_reset_link(request, user, address, kind="invitation", timeout=timeout)
