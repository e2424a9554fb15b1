"""Extension points that can refuse a flow. They are not signals of django-allauth."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, User


@hookspec
def before_signup(request: Request, email: str | None) -> None:
    """A signup is about to be stored; raise `Refused` to stop it.

    The hook is called for free and for taken addresses, so that a refusal does not
    reveal which one it is. ``email`` is None if the person comes from a provider that
    returns no address.

    Stored: nothing of the signup.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Refused, hookimpl


        class NoThrowAways:
            @hookimpl
            def before_signup(self, email: str | None) -> None:
                if email is not None and email.endswith("@throw-away.example"):
                    raise Refused("throw_away_address", "Please enter a permanent address.")
    """


@hookspec
def before_login(request: Request, user: User) -> None:
    """A user has authenticated and is about to be logged in; raise `Refused` to stop it.

    The hook is also called for the login at the end of a signup, a confirmation or a
    reset. A refusal then rolls back that whole flow.

    Stored: nothing of the login; the earlier writes of a flow that ends with a login.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Refused, Request, User, hookimpl
        from sqlalchemy import select

        from authhost_doorbell.tables import events


        class Suspensions:
            @hookimpl
            def before_login(self, request: Request, user: User) -> None:
                suspended = (events.c.user_id == user.id) & (events.c.what == "suspended")
                if request.db.execute(select(events.c.id).where(suspended)).first() is not None:
                    raise Refused("suspended", "This account is suspended. Please write to us.")
    """
