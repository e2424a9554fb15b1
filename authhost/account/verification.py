"""Verified addresses: what signup, login and the management of addresses share."""

from __future__ import annotations

from datetime import timedelta

from authhost_hookspecs import Message
from sqlalchemy.exc import IntegrityError

from authhost.account.flow import concerning
from authhost.errors import Conflict, EmailNotVerified, EmailTaken
from authhost.records import EmailAddress, EmailConfirmation, User
from authhost.request import Request
from authhost.security.inputs import email_key
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements

TRIES = 5


def send_confirmation_mail(
    request: Request, user: User, address: EmailAddress, *, signup: bool, claims: bool = False
) -> bool:
    """Store a confirmation, hand its key over for delivery, tell the plugins.

    ``claims`` says that the account is known to claim the address, so that no
    other account has verified it.

    Where another account has verified the address, its owner is told that
    somebody tried to sign up with it. For the one who tried nothing differs.
    """
    if not may_send_confirmation(request, user, address, signup=signup):
        return False
    now, key = request.now, new_key()
    expires = now + timedelta(seconds=request.settings.email_confirmation_timeout)
    confirmation = EmailConfirmation(request.new_id(), address, now, expires)
    request.send(
        statements.INSERT_CONFIRMATION,
        {
            "id": confirmation.id,
            "email_address_id": address.id,
            "key_digest": digest(key),
            "sent": now,
            "expires": expires,
        },
    )
    looks = address.primary and not claims
    claim = queries.claimed_address(request, email_key(address.email)) if looks else None
    if claim is not None and claim.verified and claim.user_id != user.id:
        if not may_send_notice(request, email_key(address.email)):
            return True
        owner = queries.account_by_id(request, claim.user_id)
        name, link = owner.user.username if owner else None, request.build_url("login")
        message = Message("signup_existing_account", address.email, name, link=link)
        request.services.hooks.deliver_message(request, message)
        return True
    link = request.build_url("confirm_email", key=key)
    message = Message("email_confirmation", address.email, user.username, key, link, expires, user.id)
    request.services.hooks.deliver_message(request, message)
    request.services.hooks.email_confirmation_sent(request, confirmation, signup)
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
    return request.services.limits.allows(request, *actions)


def may_send_notice(request: Request, key: str) -> bool:
    """Count a message to an address that has an account; it has limits of its own.

    If it counted as a confirmation, a member who has added the address could
    tell by a confirmation that is not sent that the address has an account.
    """
    return request.services.limits.allows(request, ("signup_notice", key))


def mark_ready(request: Request, user: User) -> None:
    """Call `account_ready`, once in the life of an account."""
    if request.write(statements.MARK_READY, {"of_user": user.id, "now": request.now}):
        request.services.hooks.account_ready(request, user)


def may_claim(request: Request, key: str, *, verified: bool) -> bool:
    """Whether a new account may claim the address; an unverified claim of another account may yield to it.

    To a verified address always. To an unverified one with mandatory
    verification, where the latest signup is the one that waits, and with
    optional verification once the account has not been used for
    ``unverified_account_timeout``. Without verification it never does.
    """
    mode = request.settings.email_verification
    unused_since = request.now - timedelta(seconds=request.settings.unverified_account_timeout)
    claim = queries.claim(request, key)
    if claim is None:
        return True
    in_use = claim.active and (mode == "none" or claim.last_seen > unused_since)
    if not verified and mode != "mandatory" and in_use:
        return False
    return _displace(request, claim, verified=verified)


def _displace(request: Request, claim: queries.Claim, *, verified: bool) -> bool:
    """Let an unverified claim yield; return whether it did.

    An account that is in use loses the address to whoever has verified it: it
    must not look like theirs, nor have its mails sent to them.
    """
    if claim.address.verified:
        return False
    queries.lock_account(request, claim.address.user_id)
    of_address = {"of_id": claim.address.id}
    if not (verified and claim.ready):
        return bool(request.write(statements.YIELD_CLAIM, of_address))
    if not request.write(statements.DELETE_UNVERIFIED_ADDRESS, of_address):
        return False
    account = queries.account_by_id(request, claim.address.user_id)
    if account is not None:
        request.services.hooks.email_removed(request, account.user, claim.address)
    return True


def store_verified(request: Request, user: User, address: EmailAddress) -> EmailAddress:
    """Claim the address for its verified owner. Unverified claims of others yield.

    Raises `EmailTaken` where another account has verified it.
    """
    key = email_key(address.email)
    for _ in range(TRIES):
        claim = queries.claim(request, key)
        if claim is not None and claim.address.user_id != user.id:
            if claim.address.verified:
                raise concerning(EmailTaken(field="email"), user)
            _displace(request, claim, verified=True)
        try:
            with request.savepoint():
                request.send(statements.VERIFY_ADDRESS, {"of_id": address.id, "new_claim_key": key})
            break
        except IntegrityError:
            continue  # A signup has claimed the address meanwhile: look again.
    else:
        raise Conflict
    request.send(statements.DELETE_CONFIRMATIONS, {"of_id": address.id})
    return EmailAddress(address.id, address.user_id, address.email, True, address.primary)


def store_primary(request: Request, address: EmailAddress) -> None:
    """Move the primary flag. An unverified one gives up its claim with it."""
    request.send(statements.YIELD_PRIMARY_CLAIM, {"of_user": address.user_id})
    request.send(statements.UNSET_PRIMARY, {"of_user": address.user_id})
    values = {"of_id": address.id, "of_user": address.user_id, "new_claim_key": email_key(address.email)}
    try:
        with request.savepoint():
            request.send(statements.SET_PRIMARY, values)
    except IntegrityError as error:
        raise EmailNotVerified(field="email") from error
