"""What a change of the account or of its authenticators requires of the logged-in user."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from authhost_hookspecs import Change, ChangeKind, Refused, Request, User

from authhost_mfa import authenticators
from authhost_mfa.languages import language_of
from authhost_mfa.policy import has_recent_factor, must_enrol, settings_of
from authhost_mfa.values import NAME, Authenticator

REAUTHENTICATE_PATH = "/reauthenticate"
"""Where the logged-in user confirms with a second factor."""
SENSITIVE_CHANGES: frozenset[ChangeKind] = frozenset(
    {
        "add_email",
        "make_primary",
        "remove_email",
        "set_password",
        "change_password",
        "connect",
        "disconnect",
        "deactivate",
    }
)
"""Changes by which somebody in the user's browser could take the account over (ASVS 5.0, 7.5.1, 7.5.3).

A reset or a confirmation is proved by its e-mail. Sessions can be ended without a factor: it may be lost.
"""
CONFIRMED = "confirmed"
"""The address that this unit of work confirms, in ``request.local``."""


def logins_ask(request: Request, user: User, found: Sequence[Authenticator]) -> bool:
    """Return whether each login of a user with the authenticators ``found`` asks for one of them.

    If the policy requires a second factor, a login asks for any authenticator.
    """
    return any(each.second_factor for each in found) or (bool(found) and must_enrol(request, user))


def needs_recent_factor(request: Request, user: User) -> bool:
    """Return whether a change needs a second factor first: logins ask for it, but it was not used lately."""
    if has_recent_factor(request):
        return False
    return logins_ask(request, user, authenticators.of_user(request, user.id))


def require_recent_factor(request: Request, user: User) -> None:
    """Raise `Refused` unless the user has used a second factor lately, if the account has one."""
    if needs_recent_factor(request, user):
        raise _second_factor_required(request)


def check_change(request: Request, user: User, change: Change) -> None:
    """Raise `Refused` if the user makes a sensitive change in a session without a recent second factor.

    An administrator needs one for the accounts of others, too, even without the setting ``step_up``.
    Changes by plugins and administrators are not concerned, and none by somebody who is not logged in,
    such as a reset of the password: the login after it asks for the factor.
    """
    if change.kind == "verify_email":
        request.local(NAME)[CONFIRMED] = user.id, change.email
    settings, current = settings_of(request), request.user
    sensitive = change.kind == "administer" or (settings.step_up and change.kind in SENSITIVE_CHANGES)
    if settings.policy == "off" or not sensitive:
        return
    if change.administrative or change.plugin is not None or current is None or current.id != user.id:
        return
    if request.local(NAME).get(CONFIRMED) == (user.id, change.email):
        return  # what follows from the confirmation of an address that was added before
    if _needs_step_up(request, user):
        raise _second_factor_required(request)


def _needs_step_up(request: Request, user: User) -> bool:
    """Return the same as `needs_recent_factor`, without a query for most accounts."""
    if NAME in user.login_guards:
        return not has_recent_factor(request)
    return settings_of(request).policy != "when_enrolled" and needs_recent_factor(request, user)


def _second_factor_required(request: Request) -> Refused:
    text = language_of(request).gettext("Confirm with your second factor first.")
    return Refused("second_factor_required", text, path=REAUTHENTICATE_PATH)


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
