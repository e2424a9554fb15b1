"""The four documented signals of django-allauth's ``socialaccount`` app.

Notifications, with one exception: `pre_social_login` may raise
`authhost_hookspecs.StopFlow`.
Source: https://docs.allauth.org/en/latest/socialaccount/signals.html
"""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, SocialAccount, SocialLogin


@hookspec
def pre_social_login(request: Request, sociallogin: SocialLogin) -> None:
    """A provider has authenticated the person; login, signup or connect comes next.

    Tokens and profile are on ``sociallogin``. Raise `StopFlow` to end the flow
    with an answer of your own; what is stored so far stays.
    """


@hookspec
def social_account_added(request: Request, sociallogin: SocialLogin) -> None:
    """A social account was connected to an existing account, and is stored.

    Not called for the social account that a social signup creates.
    """


@hookspec
def social_account_updated(request: Request, sociallogin: SocialLogin) -> None:
    """A connected social account was refreshed by a login or a repeated connect."""


@hookspec
def social_account_removed(request: Request, socialaccount: SocialAccount) -> None:
    """A social account was disconnected. The argument still carries its data."""
