"""What a login needs beside the first proof of identity. It is not a signal of django-allauth."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.declarations import LoginStep
from authhost_hookspecs.protocols import Request, User


@hookspec
def login_steps(request: Request, user: User) -> list[LoginStep]:  # type: ignore[empty-body]
    """Return what this login still needs; an empty list if it needs nothing of this plugin.

    The host asks after every first proof of identity: a password, a provider, a confirmed
    address, a reset password, a login by a plugin. While a step is left there is no session, no
    cookie of one, and no `user_logged_in`. The person completes a step on the plugin's
    `PageRoute` or `ApiRoute` with the same ``step``, which calls
    ``request.logins.complete_step``. ``request.logins.pending`` has the authentications so far.

    The host asks again whenever it needs to know, so the result must depend on stored data. What
    an implementation writes is undone. A login of an account that needs nothing should cost no query:
    `Logins.guard` marks the accounts that do.

    Stored: nothing. If the hook fails, nobody is logged in: the flow is refused.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import LoginStep, Request, User, hookimpl


        class Birthdays:
            @hookimpl
            def login_steps(self, request: Request, user: User) -> list[LoginStep]:
                if "birthdays" not in user.login_guards:
                    return []
                return [LoginStep("birthday", "/birthday")]
    """
