"""What a change of the authenticators requires of the logged-in user."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Refused, Request, User

from authhost_mfa import authenticators
from authhost_mfa.languages import language_of
from authhost_mfa.policy import has_recent_factor, must_enrol


def needs_recent_factor(request: Request, user: User) -> bool:
    """Return whether a change needs a second factor first: a login asks for it, but it was not used lately.

    If the policy requires a second factor, a login asks for any authenticator.
    """
    if has_recent_factor(request):
        return False
    rows = authenticators.rows_of(request, user.id)
    return any(each.second_factor for each in rows) or (bool(rows) and must_enrol(request, user))


def require_recent_factor(request: Request, user: User) -> None:
    """Raise `Refused` unless the user has used a second factor lately, if the account has one."""
    if needs_recent_factor(request, user):
        text = language_of(request).gettext("Confirm with your second factor first.")
        raise Refused("second_factor_required", text)


def require_verified_address(request: Request, user: User) -> None:
    """Raise `Refused` unless the primary address is verified.

    Another verified address is not enough: the owner of the primary one could still recover the
    account, and the factors of whoever had it before would stay.
    """
    if not user.email_verified:
        text = language_of(request).gettext(
            "Confirm an e-mail address of your account first. If you cannot log in, reset your password: "
            "that confirms the address, too."
        )
        raise Refused("email_not_verified", text)


def current_user(request: Request) -> User:
    """Return the logged-in user. The routes require a login."""
    user = request.user
    assert user is not None
    return user


def session_id(request: Request) -> UUID:
    """Return the id of the user's session. It stays the same when the session gets a new token."""
    session = request.session
    assert session is not None
    return session.id
