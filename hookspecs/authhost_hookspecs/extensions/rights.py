"""What a user may do on the site. It is not a signal of django-allauth."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, User


@hookspec
def is_administrator(request: Request, user: User) -> bool:  # type: ignore[empty-body]
    """Return whether a user may manage the accounts of others.

    A user is an administrator if one implementation returns True, or if the setting
    ``administrators`` has the primary address and it is verified. None counts as False. An
    address that is not verified proves nothing: check ``user.email_verified``.

    The host asks about the user who manages and about the account that is managed, if they are
    active; never in a login, but at each request of an impersonation. What an implementation
    writes is undone.

    Stored: nothing of it; in an impersonation, its session.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Office:
            @hookimpl
            def is_administrator(self, request: Request, user: User) -> bool:
                return user.email_verified and (user.email or "").endswith("@office.example")
    """
