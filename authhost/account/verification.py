"""Verified addresses: what signup, login and the management of addresses share."""

from __future__ import annotations

from datetime import timedelta

from authhost_hookspecs import Message
from sqlalchemy.exc import IntegrityError

from authhost.account.flow import about
from authhost.errors import EmailNotVerified, EmailTaken
from authhost.inputs import email_key
from authhost.keys import digest, new_key
from authhost.records import EmailAddress, EmailConfirmation, User
from authhost.request import Request
from authhost.store import queries, statements


def send_confirmation_to(request: Request, user: User, key: str | None, *, signup: bool) -> bool:
    """Send a confirmation to the user's address of that key, unless one was sent within the cool-down."""
    if key is None:
        return False
    queries.lock_account(request, user.id)
    address = queries.address_of(request, user.id, key)
    if address is None or address.verified:
        return False
    return send_confirmation_mail(request, user, address, signup=signup)


def send_confirmation_mail(request: Request, user: User, address: EmailAddress, *, signup: bool) -> bool:
    """Store a confirmation, hand its key over for delivery, tell the plugins."""
    if not request.host.limits.allows(request, "confirm_email", email_key(address.email)):
        return False
    now, key = request.now, new_key()
    expires = now + timedelta(seconds=request.settings.email_confirmation_timeout)
    confirmation = EmailConfirmation(request.new_id(), address, now, expires)
    request.write(
        statements.INSERT_CONFIRMATION,
        {
            "id": confirmation.id,
            "email_address_id": address.id,
            "key_digest": digest(key),
            "sent": now,
            "expires": expires,
        },
    )
    link = request.build_url("confirm_email", key=key)
    request.host.hooks.deliver_message(
        request, Message("email_confirmation", address.email, user.username, key, link, expires, user.id)
    )
    request.host.hooks.email_confirmation_sent(request, confirmation, signup)
    return True


def mark_ready(request: Request, user: User) -> None:
    """Call `account_ready`, once in the life of an account."""
    if request.write(statements.MARK_READY, {"of_user": user.id, "now": request.now}):
        request.host.hooks.account_ready(request, user)


def store_verified(request: Request, user: User, address: EmailAddress) -> EmailAddress:
    """Claim the address for its verified owner. Unverified claims of others give way."""
    key = email_key(address.email)
    try:
        with request.connection.begin_nested():
            request.write(statements.YIELD_CLAIM, {"of_key": key, "of_user": address.user_id})
            request.write(statements.VERIFY_ADDRESS, {"of_id": address.id, "new_claim_key": key})
    except IntegrityError as error:
        raise about(EmailTaken(field="email"), user) from error
    request.write(statements.DELETE_CONFIRMATIONS, {"of_id": address.id})
    return EmailAddress(address.id, address.user_id, address.email, True, address.primary)


def store_primary(request: Request, address: EmailAddress) -> None:
    """Move the primary flag. An unverified one gives up its claim with it."""
    request.write(statements.YIELD_PRIMARY_CLAIM, {"of_user": address.user_id})
    request.write(statements.UNSET_PRIMARY, {"of_user": address.user_id})
    values = {"of_id": address.id, "of_user": address.user_id, "new_claim_key": email_key(address.email)}
    try:
        with request.connection.begin_nested():
            request.write(statements.SET_PRIMARY, values)
    except IntegrityError as error:
        raise EmailNotVerified(field="email") from error
