"""Extension points that can refuse a flow. They are not signals of django-allauth."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.declarations import Change
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
def check_password(request: Request, password: str, user: User | None) -> None:
    """A new password is about to be hashed; raise `Refused` to stop the flow.

    The hook is called at signup, and when a password is set, changed or reset, but not at
    login. The password is normalised (NFKC) and meets the policy of the core. ``user`` is
    None at signup. A refusal without ``field`` gets the name of the flow's password argument.

    The transaction has not begun, so that no connection is held while the password is
    hashed: ``request.db`` is not available. Read with ``request.host.reader``. Set a
    timeout for each call of another service, since the person waits for it.

    The password must not be stored or logged, and must not be in a message. The host
    does not show the exceptions of this hook, only their class and line.

    Stored: nothing of the flow.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Refused, Request, hookimpl


        class NoSiteName:
            @hookimpl
            def check_password(self, request: Request, password: str) -> None:
                name = request.settings.site_name
                if name and name.casefold() in password.casefold():
                    raise Refused("contains_site_name", f"Do not use {name} in your password.")
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


@hookspec
def before_change(request: Request, user: User, change: Change) -> None:
    """An account is about to be changed; raise `Refused` to stop it.

    ``user`` is the account before the change, ``change`` says what is about to
    happen. The hook is called in the flows of users and for ``request.accounts``; in
    both cases the account is locked. A flow can need two changes: a confirmation in
    change-email mode is ``verify_email`` and ``make_primary``. What follows from a
    change is part of it: a new password ends sessions, and a recovery removes
    connections. The hook is not called for a signup (`before_signup`), a login
    (`before_login`) or a logout.

    It is also called with ``administer`` whenever an administrator opens a page about the accounts of
    others, or uses a form or endpoint there. Then ``user`` is the administrator, nothing is locked, and
    nothing of the account changes.

    Stored: nothing of the change; the earlier writes of its flow.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Change, Refused, User, hookimpl


        class ManagedAccounts:
            @hookimpl
            def before_change(self, user: User, change: Change) -> None:
                managed = user.email_verified and (user.email or "").endswith("@managed.example")
                if managed and change.kind == "make_primary" and not change.administrative:
                    raise Refused("managed_account", "Your company manages this account.")
    """
