"""The eleven documented signals of django-allauth's ``account`` app.

They are notifications: every implementation is called, its result is ignored,
and its failure does not change the flow. All run inside the transaction of the
flow, so what is "stored" here is stored if and only if the flow commits.
Source: https://docs.allauth.org/en/latest/account/signals.html
"""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import EmailAddress, EmailConfirmation, Request, User


@hookspec
def user_logged_in(request: Request, user: User) -> None:
    """A user has logged in.

    The session is stored and ``request.user`` is the user.
    """


@hookspec
def user_logged_out(request: Request, user: User) -> None:
    """A user logs out.

    Called before the session ends, so ``request.user`` is still the user. Not
    called when nobody was logged in.
    """


@hookspec
def user_signed_up(request: Request, user: User) -> None:
    """A user has signed up.

    The account and its address are stored; nobody is logged in yet.
    `user_logged_in` follows, unless e-mail verification holds the login back.
    """


@hookspec
def password_set(request: Request, user: User) -> None:
    """A password was set for the first time: the user had no usable one. It is stored."""


@hookspec
def password_changed(request: Request, user: User) -> None:
    """A password was changed by a user who had one. It is stored; other sessions have ended."""


@hookspec
def password_reset(request: Request, user: User) -> None:
    """A password was reset through the reset flow. It is stored; all sessions have ended."""


@hookspec
def email_confirmed(request: Request, email_address: EmailAddress) -> None:
    """An address was confirmed. It is stored as verified."""


@hookspec
def email_confirmation_sent(request: Request, confirmation: EmailConfirmation, signup: bool) -> None:
    """A confirmation was handed over for delivery, to be delivered if this unit commits.

    ``signup`` tells whether a signup caused it. ``confirmation`` has no key.
    """


@hookspec
def email_changed(
    request: Request,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
) -> None:
    """The primary address changed, and is stored.

    ``from_email_address`` is None when there was none.
    """


@hookspec
def email_added(request: Request, user: User, email_address: EmailAddress) -> None:
    """An address was added to an account that exists. It is stored, unverified."""


@hookspec
def email_removed(request: Request, user: User, email_address: EmailAddress) -> None:
    """An address was deleted. ``email_address`` still carries its data."""
