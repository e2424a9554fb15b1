"""Signup, with a password or by a method of a plugin."""

from __future__ import annotations

from authhost_hookspecs import Factor

from authhost.account.complete_login import continue_login
from authhost.account.create import new_username, store_account
from authhost.account.flow import flow, flow_named
from authhost.account.new_password import check_new_password
from authhost.account.open_login import OpenLogin
from authhost.account.pending import store_pending_login
from authhost.account.verification import send_confirmation_mail
from authhost.errors import EmailTaken, SignupClosed, UsernameTaken
from authhost.records import LoginResult, User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, key_of
from authhost.store import queries


@flow
def signup(request: Request, *, email: str, password: str, username: str | None = None) -> LoginResult:
    """Create an account.

    With mandatory verification the result for a taken address is that of a free
    one, and the owner of the mailbox gets a message. Raises `SignupClosed`, `InvalidInput`,
    `WeakPassword`, `UsernameTaken`, `RateLimited`, `Vetoed`, and without
    mandatory verification `EmailTaken`; `DeliveryFailed` if a message is sent;
    `Busy`, `Unavailable`.
    """
    return _sign_up(request, email, username, "password", password=password)[1]


@flow_named("signup")
def plugin_signup(
    request: Request, email: str, username: str | None, method: str, factors: tuple[Factor, ...]
) -> tuple[User, LoginResult]:
    """Create an account without a password for a person who has proved ``factors`` by a plugin's method.

    Raises what `signup` raises, but for the password.
    """
    return _sign_up(request, email, username, method, factors=factors)


def _sign_up(
    request: Request,
    email: str,
    username: str | None,
    method: str,
    *,
    password: str | None = None,
    factors: tuple[Factor, ...] | None = None,
) -> tuple[User, LoginResult]:
    """Create an account; return its user, and the login, whose first proof is ``method``.

    Without ``factors`` the proof is the password, so that one is required.
    """
    services, settings = request.services, request.settings
    if not settings.signup_open:
        raise SignupClosed
    address = parse_email(email)
    request.set_identifier(address.key)
    name = new_username(request, username)
    secret = services.passwords.accept(password, address.address, name) if factors is None else None
    services.limits.hit(request, "signup")
    hashed = None
    if secret is not None:
        hashed = services.passwords.hash(check_new_password(request, secret, None, field="password"))
    services.hooks.before_signup(request, address.address)

    if name is not None and queries.account_by_username(request, key_of(name)) is not None:
        raise UsernameTaken(field="username")
    waits = settings.email_verification == "mandatory"
    created = store_account(request, address, name=name, password=hashed, ready=not waits)
    if created is None:
        raise EmailTaken(field="email")
    user, email_address, claims = created
    assert email_address is not None
    services.hooks.user_signed_up(request, user)
    if settings.email_verification != "none":
        send_confirmation_mail(request, user, email_address, signup=True, claims=claims)
    login = OpenLogin.begin(request, user, method, password=hashed, factors=factors)
    if waits:
        return user, store_pending_login(request, login, address=email_address)
    services.hooks.account_ready(request, user)
    return user, continue_login(request, login, verified=True)
