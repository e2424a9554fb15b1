"""Verification of addresses: shared by signup, login and the management of addresses."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from authhost_hookspecs import Message
from sqlalchemy.exc import IntegrityError

from authhost.account.flow import attach_user
from authhost.errors import Conflict, EmailNotVerified, EmailTaken
from authhost.records import EmailAddress, EmailConfirmation, User
from authhost.request import Request
from authhost.security.encryption import Undecipherable
from authhost.security.inputs import email_key
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements

log = logging.getLogger("authhost")

MAX_ATTEMPTS = 5


def send_confirmation_mail(
    request: Request, user: User, address: EmailAddress, *, signup: bool, claims: bool = False
) -> bool:
    """Store a confirmation, pass its key to `deliver_message`, and call `email_confirmation_sent`.

    Returns False within the cool-down. ``claims``: the account is known to claim
    the address, so that no other account has verified it.

    If another account has verified the address, or was created for its owner, the owner gets a message that
    somebody tried to sign up with it. The result for the caller is the same.
    """
    if not may_send_confirmation(request, user, address, signup=signup):
        return False
    now, key = request.now, new_key()
    expires = now + timedelta(seconds=request.settings.email_confirmation_timeout)
    confirmation = EmailConfirmation(request.new_id(), address, now, expires)
    request.send_statement(
        statements.INSERT_CONFIRMATION,
        {
            "id": confirmation.id,
            "email_address_id": address.id,
            "key_digest": digest(key),
            "sent": now,
            "expires": expires,
        },
    )
    may_be_taken = address.primary and not claims
    claim = queries.claim(request, email_key(address.email)) if may_be_taken else None
    if claim is not None and claim.is_kept_from(user):
        if not may_send_notice(request, email_key(address.email)):
            return True
        owner = queries.account_by_id(request, claim.address.user_id)
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

    Confirmations for other accounts count only for a higher limit that protects
    the mailbox. A signup ignores that limit, so that nobody else can prevent the
    first message of an account.
    """
    key = email_key(address.email)
    actions = [("confirm_email", f"{user.id} {key}")]
    if not signup:
        actions.append(("confirm_email_mail", key))
    return request.services.limits.allows(request, *actions)


def may_send_notice(request: Request, key: str) -> bool:
    """Count a message to the owner of a taken address; it has separate limits.

    If it counted as a confirmation, a user who has added the address could see from
    a confirmation that is not sent that the address has an account.
    """
    return request.services.limits.allows(request, ("signup_notice", key))


def complete_signup(request: Request, user: User) -> None:
    """Call `account_ready`, once for each account, with what the signup was given."""
    resume_signup(request, queries.signup(request, user.id))
    mark_ready(request, user)


def resume_signup(request: Request, signup: queries.Signup | None) -> None:
    """Restore what an incomplete signup was given, and the social login that it came from."""
    if signup is None or signup.complete:
        return
    user, services = signup.account.user, request.services
    request.find_sociallogin_later(lambda: services.sociallogin_of_signup(request, user))
    if signup.given is None:
        return
    try:
        request.restore_given(services.encryption.open(signup.given))
    except Undecipherable:
        log.warning(
            "what the signup of user %s was given cannot be decrypted: plugins do not get it; "
            "add the former key to encryption_keys (request %s)",
            user.id,
            request.id,
        )


def mark_ready(request: Request, user: User) -> None:
    """Store that the account is ready, and call `account_ready`; once for each account."""
    if request.write(statements.MARK_READY, {"of_user": user.id, "now": request.now}):
        request.services.hooks.account_ready(request, user)


def may_claim(request: Request, key: str, *, verified: bool) -> bool:
    """Return whether a new account may claim the address. If possible, release the claim of another account.

    A verified claim is never released. An unverified claim is always released for
    a verified address. For an unverified address it is released with mandatory
    verification (the latest signup is the pending one), and with optional
    verification if the account has not been used for
    ``unverified_account_timeout``. Without verification it is never released, and neither
    is that of an account that an administrator has created: it is kept for the invited person.
    """
    mode = request.settings.email_verification
    unused_since = request.now - timedelta(seconds=request.settings.unverified_account_timeout)
    claim = queries.claim(request, key)
    if claim is None:
        return True
    in_use = claim.active and (mode == "none" or claim.last_seen > unused_since)
    if not verified and (claim.awaits_owner or (mode != "mandatory" and in_use)):
        return False
    return _release_claim(request, claim, verified=verified)


def _release_claim(request: Request, claim: queries.Claim, *, verified: bool) -> bool:
    """Release an unverified claim; return whether it was released.

    An account that is in use loses the address to the account that verifies it:
    otherwise its e-mails would go to somebody else's mailbox.
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
        with request.hooks_of_another_user():
            request.services.hooks.email_removed(request, account.user, claim.address)
    return True


def store_verified(request: Request, user: User, address: EmailAddress) -> EmailAddress:
    """Store the address as verified and claimed, and release unverified claims of other accounts.

    Raises `Conflict`, and `EmailTaken` if another account has verified it.
    """
    key = email_key(address.email)
    for _ in range(MAX_ATTEMPTS):
        claim = queries.claim(request, key)
        if claim is not None and claim.address.user_id != user.id:
            if claim.address.verified:
                raise attach_user(EmailTaken(field="email"), user)
            _release_claim(request, claim, verified=True)
        try:
            with request.savepoint():
                values = {"of_id": address.id, "new_claim_key": key}
                verified = request.send_statement(statements.VERIFY_ADDRESS, values)
            break
        except IntegrityError:
            continue  # A signup has claimed the address in the meantime: try again.
    else:
        raise Conflict
    request.send_statement(statements.DELETE_CONFIRMATIONS, {"of_id": address.id})
    if not verified.rowcount:  # the address was removed meanwhile
        raise Conflict
    return EmailAddress(address.id, address.user_id, address.email, True, address.primary)


def store_primary(request: Request, address: EmailAddress) -> None:
    """Make the address the primary one. An unverified former primary address loses its claim."""
    request.send_statement(statements.YIELD_PRIMARY_CLAIM, {"of_user": address.user_id})
    request.send_statement(statements.UNSET_PRIMARY, {"of_user": address.user_id})
    values = {"of_id": address.id, "of_user": address.user_id, "new_claim_key": email_key(address.email)}
    try:
        with request.savepoint():
            request.send_statement(statements.SET_PRIMARY, values)
    except IntegrityError as error:
        raise EmailNotVerified(field="email") from error


def is_first_proof(request: Request, address: EmailAddress) -> bool:
    """Return whether a proof of an unverified ``address`` is the first one of who owns the account.

    A verified second address proves nothing about the primary one.
    """
    found = queries.addresses(request, address.user_id)
    return address.primary or not any(each.verified for each in found)


def becomes_primary(request: Request, user: User, *, primary: bool) -> bool:
    """Return whether an address of ``user`` that is not ``primary`` becomes so when it is verified."""
    return not primary and (request.settings.change_email or user.email is None)


def verify_address(
    request: Request, user: User, found: EmailAddress
) -> tuple[EmailAddress | None, EmailAddress]:
    """Store an address as verified; return the primary address that it replaces, and the new state.

    The caller calls `call_confirmed`. Raises what `store_verified` raises.
    """
    previous = None
    address = store_verified(request, user, found)
    if request.settings.change_email:
        previous = _delete_other_addresses(request, address)
    if becomes_primary(request, user, primary=address.primary):
        store_primary(request, address)
        address = replace(address, primary=True)
    return previous, address


def call_confirmed(request: Request, address: EmailAddress, previous: EmailAddress | None) -> queries.Account:
    """Delete resets and pending logins, and call the hooks of a verification; return the account."""
    request.send_statement(statements.DELETE_RESETS, {"of_user": address.user_id})
    request.send_statement(statements.DELETE_PENDING_LOGINS, {"of_user": address.user_id})
    signup = queries.signup(request, address.user_id)
    assert signup is not None
    resume_signup(request, signup)
    fresh = signup.account
    request.refresh(fresh.user)
    request.services.hooks.email_confirmed(request, address)
    if request.settings.change_email:
        request.services.hooks.email_changed(request, fresh.user, previous, address)
    mark_ready(request, fresh.user)
    return fresh


def _delete_other_addresses(request: Request, address: EmailAddress) -> EmailAddress | None:
    """Delete the other addresses (change-email mode); return the former primary address, or None."""
    others = [each for each in queries.addresses(request, address.user_id) if each.id != address.id]
    request.send_statement(
        statements.DELETE_OTHER_ADDRESSES, {"of_user": address.user_id, "of_id": address.id}
    )
    return next((each for each in others if each.primary), None)
