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
from authhost.records import EmailAddress, LoginResult, PendingStep, Session, User
from authhost.request import Request
from authhost.security.inputs import email_key
from authhost.security.keys import digest, new_key
from authhost.store import queries, statements
from authhost.store.transaction import Sent

ENDED_BY_HOOK = "A plugin has ended the session of this login."


def continue_login(
    request: Request, login: OpenLogin, *, by_address: str | None = None, verified: bool = False
) -> LoginResult:
    """Log the user in, or store a pending login if something is still needed. Every login ends here.

    A login by an address requires that this address is verified if verification is mandatory, any
    other login that any address is; ``verified`` says that one is. Then come the steps of plugins.
    While the login is pending, a previously logged-in user of this browser stays logged in. A hook of
    this unit, such as `user_signed_up`, may have guarded the account after the login began.
    """
    login = replace(login, user=request.with_guards(login.user))
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
    # A rehashed password is not stored here, although it is where a login waits for steps. The signup's
    # pending login, in another browser, is bound to the stored hash: with a new one the confirmation in
    # that browser would count as a recovery, and remove the owner's password.
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
    user = login.user
    _ask_plugins(request, login)
    logged_in = _send_login(request, login)
    ended = _end_former_session(request, user, logged_in)
    session, token = _new_session(request, login), new_key()
    _store_session(request, session, token, logged_in)
    call_session_ended(request, ended, "replaced")
    user = replace(user, last_login=request.now)
    request.log_in(session, user, token, login.rehashed or login.password)
    request.services.hooks.user_logged_in(request, user)
    kept = request.session
    if kept is None or kept.id != session.id:
        raise attach_user(Conflict(ENDED_BY_HOOK), user)
    device_token = request.remember_device(user)
    return LoginResult(request.session_token or token, request.user, device_token=device_token)


def _ask_plugins(request: Request, login: OpenLogin) -> None:
    """Call `before_login`; raises `Vetoed` with the user attached."""
    try:
        with running(request, login):
            request.services.hooks.before_login(request, login.user)
    except Vetoed as refusal:
        attach_user(refusal, login.user)
        raise


def _send_login(request: Request, login: OpenLogin) -> Sent:
    """Send the UPDATE of the account. It changes no row if the account is not what the login has verified."""
    values = {
        "of_user": login.user.id,
        "old_password": login.password,
        "old_guards": login.user.login_guards,
        "now": request.now,
    }
    if login.rehashed is None:
        return request.send_statement(statements.LOG_IN, values)
    values["new_password"] = login.rehashed
    return request.send_statement(statements.LOG_IN_AND_REHASH, values)


def _end_former_session(request: Request, user: User, logged_in: Sent) -> list[Session]:
    """End the session of this browser; return it if it is the user's own, for `call_session_ended`."""
    current = request.user
    if current is None:
        return []
    if current.id == user.id:
        return delete_own_session(request, user)
    if not logged_in.rowcount:
        raise Conflict
    log_out_former_user(request, user)
    return []


def _new_session(request: Request, login: OpenLogin) -> Session:
    now = request.now
    return Session(
        id=request.new_id(),
        user_id=login.user.id,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=request.settings.session_lifetime),
        method=login.first.method,
        provider=login.first.provider,
        ip_address=request.ip_address,
        user_agent=request.user_agent,
        authentications=login.authentications,
    )


def _store_session(request: Request, session: Session, token: str, logged_in: Sent) -> None:
    """Insert the session; raises `Conflict` if the account has changed, or was deleted."""
    row = {name: getattr(session, name) for name in Session.__slots__} | {"token_digest": digest(token)}
    try:
        request.send_statement(statements.INSERT_SESSION, row)
        if not logged_in.rowcount:
            raise Conflict
    except IntegrityError as error:
        if not logged_in.rowcount:  # the account was deleted, so no session can refer to it
            raise Conflict from error
        raise
