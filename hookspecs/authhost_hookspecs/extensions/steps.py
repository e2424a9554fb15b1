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


@hookspec
def remove_factors(request: Request, user: User, reason: str) -> int:  # type: ignore[empty-body]
    """Remove all factors of a user who has lost them, for an administrator; return how many there were.

    ``request.accounts.remove_factors`` calls it. An implementation deletes what the plugin stores for its
    steps, calls ``request.logins.unguard`` if it has guarded the account, and tells the user. ``reason`` is
    the administrator's text, of at most 500 characters. It returns 0 if the user has none; None counts as 0.

    Stored: the account, which the host has locked. If one implementation fails, or leaves a guard, nothing
    is removed, and the caller gets ``factors_not_removed``.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class Forget:
            @hookimpl
            def remove_factors(self, request: Request, user: User, reason: str) -> int:
                deleted = request.db.execute(delete(events).where(events.c.user_id == user.id))
                return int(deleted.rowcount)
    """
