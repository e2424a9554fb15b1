"""The four documented signals of django-allauth's ``socialaccount`` app.

They are notifications, with one exception: `pre_social_login` may raise
`authhost_hookspecs.StopFlow`.
Source: https://docs.allauth.org/en/latest/socialaccount/signals.html
"""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, SocialAccount, SocialLogin


@hookspec
def pre_social_login(request: Request, sociallogin: SocialLogin) -> None:
    """A provider has authenticated the person; login, signup or connect follows.

    ``sociallogin`` has the tokens and the profile. ``sociallogin.connect`` connects
    the social account to an existing account. Raise `StopFlow` to end the flow with
    your own response: later implementations are not called then.

    An implementation that refuses signups should have ``trylast=True``. Otherwise it
    stops people whom another plugin would connect by e-mail.

    Rows that are written here stay stored after a `StopFlow`, also after one of
    another plugin. So do not record a completed login here: use `user_logged_in`.

    Stored: the provider's current data of a connected social account; nothing of
    the login, signup or connect.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, SocialLogin, StopFlow, hookimpl


        class Members:
            @hookimpl(trylast=True)
            def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
                if sociallogin.process != "login" or sociallogin.user is not None:
                    return
                # Without an address, a form asks for one, and `before_signup` is called for it.
                named = [each.email for each in sociallogin.email_addresses]
                if named and not any(email.endswith("@example.org") for email in named):
                    raise StopFlow(response={"page": "/members-only"})
    """


@hookspec
def social_account_added(request: Request, sociallogin: SocialLogin) -> None:
    """A social account was connected to an existing account.

    The hook is not called for the social account that a social signup creates. It
    is called after `pre_social_login`, also if a plugin connected the social account
    there and then stopped the flow.

    Stored: the social account, and its token if the setting ``store_social_tokens`` is on.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, SocialLogin, hookimpl

        from authhost_doorbell.tables import events


        class Connections:
            @hookimpl
            def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
                account = sociallogin.account
                row = {"id": request.new_id(), "user_id": account.user_id, "at": request.now}
                request.insert(events, {**row, "what": f"connected {account.provider}"})
    """


@hookspec
def social_account_updated(request: Request, sociallogin: SocialLogin) -> None:
    """A connected social account was refreshed by a login or a repeated connect.

    It is called before `pre_social_login`, so the person is not logged in yet. Rows
    that are written here stay stored after a `StopFlow` there. So do not record a
    completed login here: use `user_logged_in`.

    Stored: the provider's current data, and its token if the setting ``store_social_tokens`` is on.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, SocialLogin, hookimpl

        from authhost_doorbell.tables import events


        class Pictures:
            @hookimpl
            def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
                account = sociallogin.account
                if "picture" in account.extra_data:
                    row = {"id": request.new_id(), "user_id": account.user_id, "at": request.now}
                    request.insert(events, {**row, "what": "has a picture to fetch"})
    """


@hookspec
def social_account_removed(request: Request, socialaccount: SocialAccount) -> None:
    """A social account was disconnected.

    ``socialaccount`` still has its data.

    Stored: the row is deleted, with its token.

    .. versionadded:: 1.0

    Example::

        from functools import partial
        from queue import SimpleQueue

        from authhost_hookspecs import Request, SocialAccount, hookimpl


        class Imports:
            def __init__(self) -> None:
                self.to_forget: SimpleQueue[tuple[str, str]] = SimpleQueue()

            @hookimpl
            def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
                request.on_commit(partial(self.to_forget.put, (socialaccount.provider, socialaccount.uid)))
    """
