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

    Tokens and profile are on ``sociallogin``; ``sociallogin.connect`` connects
    to an account that there is. Raise `StopFlow` to end the flow with an answer
    of your own: implementations that would come later are not called then.

    One that refuses sign-ups should be ``trylast=True``, else it stops people
    whom another plugin would connect by e-mail.

    What is stored here survives a `StopFlow`, your own and another plugin's. So
    what is meant to say "was here last" waits for `user_logged_in`, or is
    judged with care.

    Stored: of a social account that is connected already, what the provider has
    answered now; nothing of the login, signup or connect.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, SocialLogin, StopFlow, hookimpl


        class Members:
            @hookimpl(trylast=True)
            def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
                if sociallogin.process != "login" or sociallogin.user is not None:
                    return
                # Without an address a form asks for one, and `before_signup` judges it.
                named = [each.email for each in sociallogin.email_addresses]
                if named and not any(email.endswith("@example.org") for email in named):
                    raise StopFlow(response={"page": "/members-only"})
    """


@hookspec
def social_account_added(request: Request, sociallogin: SocialLogin) -> None:
    """A social account was connected to an account that existed.

    Not called for the social account that a social signup creates. It comes
    after `pre_social_login`, also where a plugin connected it there and then
    stopped the flow.

    Stored: the social account, and its token where the settings keep tokens.

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

    It comes before `pre_social_login`, so the person is not logged in yet, and
    may never be: what is stored here survives a `StopFlow` there. So what is
    meant to say "was here last" waits for `user_logged_in`, or is judged with
    care.

    Stored: what the provider has answered now, and its token where the settings keep tokens.

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

    ``socialaccount`` still carries its data.

    Stored: that it is gone, with its token.

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
