"""Login and reauthentication."""

from __future__ import annotations

from authhost.account.complete_login import continue_login
from authhost.account.deactivation import active_user
from authhost.account.flow import attach_user, flow, lock_login, require_login
from authhost.account.new_password import check_usable
from authhost.account.open_login import OpenLogin, authentication_by
from authhost.account.sessions import rotate_token
from authhost.errors import InvalidCredentials
from authhost.records import LoginResult, TokenResult
from authhost.request import Request
from authhost.security.inputs import Identifier, identifier as parse_identifier
from authhost.store import queries


@flow
def login(request: Request, *, identifier: str, password: str) -> LoginResult:
    """Log in by e-mail address or username.

    Raises `InvalidInput`, `RateLimited`, `InvalidCredentials` (one answer, at
    one cost, for an unknown account, a wrong password and a deactivated
    account; ASVS 5.0, 6.3.8), `PasswordResetRequired` (the password is right), `Busy`,
    `Unavailable`, `Vetoed`, `Conflict`.
    """
    services = request.services
    name = parse_identifier(identifier)
    secret = services.passwords.normalise(password)
    request.set_identifier(name.key)

    candidates = _candidates(request, name)
    users = [each.user for each in candidates if each is not None]
    services.limits.hit_for(request, next(iter(users), None), "login")
    with services.limits.password_check(request, users, name.key) as check:
        account, right, newer = _verify(request, candidates, secret)
        user = active_user(request, account.user) if account is not None and right else None
        if account is None or user is None:
            check.failed()
            raise attach_user(services.passwords.refusal(), account.user if account else None)
        check.passed(user)
        check_usable(request, account.password, user)
    opened = OpenLogin.begin(request, user, "password", password=account.password, rehashed=newer)
    return continue_login(request, opened, by_address=name.key if name.is_email else None)


@flow
def reauthenticate(request: Request, *, password: str) -> TokenResult:
    """Confirm the password of the logged-in user. The session gets a new token.

    Raises `LoginRequired`, `InvalidInput`, `RateLimited`, `InvalidCredentials`,
    `PasswordResetRequired`, `Busy`, `Unavailable`.
    """
    user, _ = require_login(request)
    secret = request.services.passwords.normalise(password)
    request.services.limits.hit(request, "reauthenticate")
    with request.services.limits.password_check(request, [user]):
        right, _ = request.services.passwords.verify(secret, request.stored_password)
        if not right:
            raise InvalidCredentials("The password is not right.", field="password")
        check_usable(request, request.stored_password, user)
    user = lock_login(request)
    result = rotate_token(request, again=authentication_by(request, "password")).result()
    request.services.hooks.user_reauthenticated(request, user)
    return result


def _candidates(request: Request, name: Identifier) -> tuple[queries.Account | None, ...]:
    """Return the accounts that ``name`` can refer to; as many for a known name as for an unknown one.

    With mandatory verification an address can have two: the account that has
    verified it, and the latest unverified signup with it. So a signup with the
    address of somebody else behaves like any other (ASVS 5.0, 6.3.8).
    """
    if not name.is_email:
        return (queries.account_by_username(request, name.key),)
    if request.settings.email_verification == "mandatory":
        return queries.accounts_by_email(request, name.key)
    return (queries.account_by_email(request, name.key),)


def _verify(
    request: Request, candidates: tuple[queries.Account | None, ...], secret: str
) -> tuple[queries.Account | None, bool, str | None]:
    """Return the candidate whose password it is or the first one, whether it is right, and a new hash."""
    passwords = request.services.passwords
    with passwords.slot():
        for account in candidates:
            right, newer = passwords.verify(secret, account.password if account else None)
            if right:
                return account, True, newer
    return next((each for each in candidates if each is not None), None), False, None
