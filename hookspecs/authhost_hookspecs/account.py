"""The eleven documented signals of django-allauth's ``account`` app.

They are notifications: every implementation is called, its result is ignored,
and its failure does not change the flow. All run inside the transaction of the
flow, so what is "stored" is stored if and only if the flow commits.
Source: https://docs.allauth.org/en/latest/account/signals.html
"""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import EmailAddress, EmailConfirmation, Request, User


@hookspec
def user_logged_in(request: Request, user: User) -> None:
    """A user has logged in.

    ``request.user`` is the user. ``request.authentication`` contains the method. If a
    plugin ends the new session here, the login is refused with ``conflict`` and rolled
    back; refuse logins in `before_login`.

    Stored: the session, and the time of the login (``user.last_login``).

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Logins:
            @hookimpl
            def user_logged_in(self, request: Request, user: User) -> None:
                what = f"login by {request.authentication[0].method}"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def user_logged_out(request: Request, user: User) -> None:
    """A user logs out.

    ``request.user`` is still the user. The hook is also called when the account is
    deactivated, and when a login, confirmation or reset of another user replaces the
    session of this browser. It is not called if nobody was logged in.

    Stored: nothing of the logout; the session ends after the hook.

    .. versionadded:: 1.0

    Example::

        import logging
        from functools import partial

        from authhost_hookspecs import Request, User, hookimpl

        log = logging.getLogger(__name__)


        class Goodbye:
            @hookimpl
            def user_logged_out(self, request: Request, user: User) -> None:
                request.on_commit(partial(log.info, "user %s has left", user.id))
    """


@hookspec
def user_signed_up(request: Request, user: User) -> None:
    """A user has signed up.

    Nobody is logged in yet. `user_logged_in` follows, unless the login requires
    e-mail verification. Use `account_ready` for actions that require a verified
    address. ``request.sociallogin`` is the social login that the signup came from, or
    None. ``request.given`` has the texts that the application gave it, such as an
    invitation code.

    Stored: the account with its address; after a social signup the social account.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class WhereFrom:
            @hookimpl
            def user_signed_up(self, request: Request, user: User) -> None:
                what = f"signup by {request.provider or 'form'}"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def password_set(request: Request, user: User) -> None:
    """A password was set for the first time: the user had no usable one.

    Stored: the password; other sessions have ended.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class Reminders:
            @hookimpl
            def password_set(self, request: Request, user: User) -> None:
                asked = (events.c.user_id == user.id) & (events.c.what == "asked for a password")
                request.db.execute(delete(events).where(asked))
    """


@hookspec
def password_changed(request: Request, user: User) -> None:
    """A password was changed by a user who had one.

    Stored: the password; other sessions have ended, and keys of resets are invalid.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class PasswordAge:
            @hookimpl
            def password_changed(self, request: Request, user: User) -> None:
                what = "password changed"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def password_reset(request: Request, user: User) -> None:
    """A password was reset with the key of an e-mail.

    ``request.user`` is None. `user_logged_in` follows if the setting
    ``login_on_password_reset`` is on.

    Stored: the password; all sessions of the user have ended.

    .. versionadded:: 1.0

    Example::

        from functools import partial
        from queue import SimpleQueue

        from authhost_hookspecs import Request, User, hookimpl


        class Alerts:
            def __init__(self) -> None:
                self.queue: SimpleQueue[str] = SimpleQueue()

            @hookimpl
            def password_reset(self, request: Request, user: User) -> None:
                request.on_commit(partial(self.queue.put, f"the password of {user.id} was reset"))
    """


@hookspec
def email_confirmed(request: Request, email_address: EmailAddress) -> None:
    """An address was confirmed with the key of an e-mail.

    The logged-in user is not necessarily its owner: use ``email_address.user_id``.

    Stored: the address as verified; in change-email mode the former address is deleted.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import EmailAddress, Request, hookimpl

        from authhost_doorbell.tables import events


        class Colleagues:
            @hookimpl
            def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
                if email_address.email.endswith("@example.org"):
                    row = {"id": request.new_id(), "user_id": email_address.user_id, "at": request.now}
                    request.insert(events, {**row, "what": "is a colleague"})
    """


@hookspec
def email_confirmation_sent(request: Request, confirmation: EmailConfirmation, signup: bool) -> None:
    """A confirmation was passed to `deliver_message`; it is delivered if this unit of work commits.

    ``signup`` is True if a signup caused it. ``confirmation`` does not contain the key.

    Stored: the confirmation, with a digest of its key.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import EmailConfirmation, Request, hookimpl

        from authhost_doorbell.tables import events


        class Waiting:
            @hookimpl
            def email_confirmation_sent(
                self, request: Request, confirmation: EmailConfirmation, signup: bool
            ) -> None:
                if signup:
                    what = f"has time until {confirmation.expires:%Y-%m-%d}"
                    row = {"id": request.new_id(), "user_id": confirmation.email_address.user_id}
                    request.insert(events, {**row, "what": what, "at": request.now})
    """


@hookspec
def email_changed(
    request: Request,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
) -> None:
    """The primary address changed.

    ``from_email_address`` is None if there was none. It may be unverified, and in
    change-email mode its row is deleted.

    Stored: the new primary address.

    .. versionadded:: 1.0

    Example::

        from functools import partial
        from queue import SimpleQueue

        from authhost_hookspecs import EmailAddress, Request, User, hookimpl


        class Customers:
            def __init__(self) -> None:
                self.to_update: SimpleQueue[tuple[object, str]] = SimpleQueue()

            @hookimpl
            def email_changed(self, request: Request, user: User, to_email_address: EmailAddress) -> None:
                request.on_commit(partial(self.to_update.put, (user.id, to_email_address.email)))
    """


@hookspec
def email_added(request: Request, user: User, email_address: EmailAddress) -> None:
    """An address was added to an existing account.

    `email_confirmation_sent` is called before this hook.

    Stored: the address, unverified, and its confirmation.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import EmailAddress, Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Addresses:
            @hookimpl
            def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
                what = f"added {request.keyed_hash(email_address.email)}"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def email_removed(request: Request, user: User, email_address: EmailAddress) -> None:
    """An address was removed.

    ``email_address`` still has its data.

    Stored: the row is deleted, with its confirmations and all keys of resets.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import EmailAddress, Request, User, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class Addresses:
            @hookimpl
            def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
                added = events.c.what == f"added {request.keyed_hash(email_address.email)}"
                request.db.execute(delete(events).where(events.c.user_id == user.id, added))
    """
