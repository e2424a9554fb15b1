"""Verified addresses: what signup, login and the management of addresses share."""

from __future__ import annotations

from datetime import timedelta

from authhost_hookspecs import Message
from sqlalchemy.exc import IntegrityError

from authhost.account.flow import about
from authhost.errors import EmailNotVerified, EmailTaken
from authhost.inputs import email_key, network
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
    if not may_send_confirmation(request, user, address, signup=signup):
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
        request, Message("email_confirmation", address.email, user.username, key, link, expires)
    )
    request.host.hooks.email_confirmation_sent(request, confirmation, signup)
    return True


def may_send_confirmation(request: Request, user: User, address: EmailAddress, *, signup: bool) -> bool:
    """Count a confirmation; return False within the cool-down of this account and address.

    What other accounts asked for does not count, but for a wide limit that
    protects the mailbox. The first message of an account passes that, too: no
    stranger may hold it up.
    """
    key = email_key(address.email)
    actions = [("confirm_email", f"{user.id} {key}")]
    if not signup:
        actions.append(("confirm_email_mail", key))
    return request.host.limits.allows(request, *actions)


def may_send_notice(request: Request, key: str) -> bool:
    """Count a message to an address that has an account; what other networks caused does not count."""
    place = network(request.ip_address) if request.ip_address else ""
    return request.host.limits.allows(
        request, ("confirm_email", f"{place} {key}"), ("confirm_email_mail", key)
    )


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
