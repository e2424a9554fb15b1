"""The end of every login: a session, or a pending login for what it still needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from authhost.account.flow import attach_user
from authhost.account.open_login import EMAIL_STEP, OpenLogin, plugin_steps, running
from authhost.account.pending import store_pending_login
from authhost.account.sessions import call_session_ended, delete_own_session, log_out_former_user
from authhost.account.verification import send_confirmation_mail
from authhost.errors import Conflict, Vetoed
from authhost.records import EmailAddress, LoginResult, PendingStep, Session
from authhost.request import Request
from authhost.security.inputs import email_key
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements

ENDED_BY_HOOK = "A plugin has ended the session of this login."


def continue_login(
    request: Request, login: OpenLogin, *, by_address: str | None = None, verified: bool = False
) -> LoginResult:
    """Log the user in, or store a pending login if something is still needed. Every login ends here.

    A login by an address requires that this address is verified if verification is mandatory, any
    other login that any address is; ``verified`` says that one is. Then come the steps of plugins.
    While the login is pending, a previously logged-in user of this browser stays logged in.
    """
    if request.settings.email_verification == "mandatory" and not verified:
        addresses = queries.addresses(request, login.user.id)
        if not any(each.verified and by_address in (None, email_key(each.email)) for each in addresses):
            return _verify_first(request, login, by_address)
    steps = plugin_steps(request, login)
    if steps:
        return _wait(request, _store_rehashed(request, login), steps)
    if login.first.provider is not None:
        log_out_former_user(request, login.user)
    return _start_session(request, login)


def _store_rehashed(request: Request, login: OpenLogin) -> OpenLogin:
    """Store the newer hash of the password, if any: the pending login is bound to the stored one."""
    if login.rehashed is None:
        return login
    values = {"of_user": login.user.id, "old_password": login.password, "new_password": login.rehashed}
    if not request.write(statements.CHANGE_PASSWORD, values):
        raise Conflict
    request.set_stored_password(login.user, login.rehashed)
    return replace(login, password=login.rehashed, rehashed=None)


def _verify_first(request: Request, login: OpenLogin, by_address: str | None) -> LoginResult:
    """Send a confirmation to the address of the login, or else to the primary one; store a pending login."""
    queries.lock_account(request, login.user.id)
    addresses = queries.addresses(request, login.user.id)
    address = next((each for each in addresses if by_address in (None, email_key(each.email))), None)
    if by_address is None:
        address = next((each for each in addresses if each.primary), address)
    if address is not None and not address.verified:
        send_confirmation_mail(request, login.user, address, signup=False)
    return _wait(request, login, (EMAIL_STEP,), address)


def _wait(
    request: Request, login: OpenLogin, steps: tuple[PendingStep, ...], address: EmailAddress | None = None
) -> LoginResult:
    """Store a pending login, and tell the plugins of it: somebody has proved the first factor."""
    result = store_pending_login(request, login, steps, address=address)
    with running(request, login):
        request.services.hooks.login_pending(request, login.user, tuple(each.key for each in steps))
    return result


def _start_session(request: Request, login: OpenLogin) -> LoginResult:
    """Log the user in with a new session token, if the stored password is still the verified one.

    A previously logged-in user of this browser is logged out. Raises `Vetoed`, and
    `Conflict` if the account has changed, or if a hook has ended the new session.
    """
    now, settings, user = request.now, request.settings, login.user
    try:
        with running(request, login):
            request.services.hooks.before_login(request, user)
    except Vetoed as refusal:
        attach_user(refusal, user)
        raise
    current = request.user
    values = {
        "of_user": user.id,
        "old_password": login.password,
        "old_guards": user.login_guards,
        "now": now,
    }
    if login.rehashed is None:
        logged_in = request.send_statement(statements.LOG_IN, values)
    else:
        values["new_password"] = login.rehashed
        logged_in = request.send_statement(statements.LOG_IN_AND_REHASH, values)
    ended = delete_own_session(request, user) if current is not None and current.id == user.id else []
    if current is not None and current.id != user.id:
        if not logged_in.rowcount:
            raise Conflict
        log_out_former_user(request, user)
    token = new_key()
    session = Session(
        id=request.new_id(),
        user_id=user.id,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=settings.session_lifetime),
        method=login.first.method,
        provider=login.first.provider,
        ip_address=request.ip_address,
        user_agent=request.user_agent,
        authentications=login.authentications,
    )
    row = {name: getattr(session, name) for name in Session.__slots__} | {"token_digest": digest(token)}
    try:
        request.send_statement(statements.INSERT_SESSION, row)
        if not logged_in.rowcount:
            raise Conflict
    except IntegrityError as error:
        if not logged_in.rowcount:  # the account was deleted, so no session can refer to it
            raise Conflict from error
        raise
    call_session_ended(request, ended, "replaced")
    user = replace(user, last_login=now)
    request.log_in(session, user, token, login.rehashed or login.password)
    request.services.hooks.user_logged_in(request, user)
    kept = request.session
    if kept is None or kept.id != session.id:
        raise attach_user(Conflict(ENDED_BY_HOOK), user)
    device_token = request.remember_device(user)
    return LoginResult(request.session_token or token, request.user, device_token=device_token)
