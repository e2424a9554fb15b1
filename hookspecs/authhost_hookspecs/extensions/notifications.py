"""Notifications of what flows have done, beside the signals of django-allauth."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, Session, User


@hookspec
def account_ready(request: Request, user: User) -> None:
    """A signup is complete, including the verification that the settings require.

    The hook is called once for each user, for every kind of signup. `user_logged_in`
    follows if this flow logs in. ``request.sociallogin`` and ``request.given`` are those
    of the signup, also if it had to wait for a confirmation.

    Stored: the account, and its verified address if verification is mandatory.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Trial:
            @hookimpl
            def account_ready(self, request: Request, user: User) -> None:
                what = "trial begins"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def social_login_begun(request: Request, provider: str, process: str) -> None:
    """A person is redirected to a provider; `pre_social_login` follows if they come back.

    ``process`` is ``login``, ``connect`` or ``redirect``.

    Stored: the state that the callback needs, encrypted.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Departures:
            @hookimpl
            def social_login_begun(self, request: Request, provider: str, process: str) -> None:
                what = f"went to {provider} for {process}"
                request.insert(events, {"id": request.new_id(), "what": what, "at": request.now})
    """


@hookspec
def password_reset_requested(request: Request, user: User | None) -> None:
    """Somebody requested a password reset.

    ``user`` is None if no active account has the address. Anybody can request a
    reset, so the person is not necessarily the user. Two requests for the same
    address have the same ``request.identifier_digest``. A message was passed to
    `deliver_message`, unless one was sent a few minutes before.

    Stored: the digest of the link's key, if a message is sent.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class ResetRequests:
            @hookimpl
            def password_reset_requested(self, request: Request, user: User | None) -> None:
                if user is not None:
                    row = {"id": request.new_id(), "user_id": user.id, "what": "asked for a reset"}
                    request.insert(events, row | {"at": request.now})
    """


@hookspec
def session_ended(request: Request, session: Session, reason: str) -> None:
    """A session has ended. Called once for each session.

    ``reason`` is ``logout``, ``replaced`` (the same browser logged in again),
    ``ended`` (by its owner, from another session), ``password_set``,
    ``password_changed``, ``password_reset``, ``deactivated`` or ``recovered``
    (the owner of the mailbox has recovered the account). A change through
    ``request.accounts`` adds ``password_removed``, ``reset_required``, ``revoked`` and
    ``deleted``. The reason is ``expired`` if the session had expired when it was deleted: by one of
    these flows, or later by `AuthHost.delete_expired` (``authhost db clean``).

    A session with ``session.actor`` is that of an administrator in the account of somebody else. It
    also ends with ``stopped`` by the administrator, and with ``administrator`` together with the
    administrator's own session or the right to be in this account. `impersonation_ended` follows.

    Stored: the session is deleted.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, Session, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class DataOfSessions:
            @hookimpl
            def session_ended(self, request: Request, session: Session, reason: str) -> None:
                of_session = events.c.what == f"session {session.id}"
                request.db.execute(delete(events).where(of_session))
    """


@hookspec
def password_removed(request: Request, user: User) -> None:
    """The password of an account was removed, through ``request.accounts``.

    The person can log in with a provider, or set a new password with a reset.

    Stored: the account has no password, and its sessions have ended, except that of this
    request. `session_ended` was called for each of them.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Locks:
            @hookimpl
            def password_removed(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "no key", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def account_recovered(request: Request, user: User) -> None:
    """The owner of the mailbox has taken over an account whose address was never verified.

    Somebody else may have signed up with the address, and prepared the account: a plugin that stores
    credentials deletes those of the account here. It is called by the first confirmation in another
    browser, a password reset, and a login by a provider that has verified the address; it does not matter
    whether the account had a password or sessions. `email_confirmed` follows, but not for a provider.
    If an implementation fails, its credentials stay: the operator lists such a plugin in
    ``required_plugins``, so that the recovery is refused. It is refused, too, while a plugin with this
    hook and `login_steps` is blocked at run time.

    Stored: the account has no password, no sessions, no connections to providers, and no address but
    the one that was proved, which is verified.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class Keys:
            @hookimpl
            def account_recovered(self, request: Request, user: User) -> None:
                keys = events.c.user_id == user.id, events.c.what == "key"
                request.db.execute(delete(events).where(*keys))
    """


@hookspec
def user_deactivated(request: Request, user: User) -> None:
    """An account was deactivated: nobody can log in to it, and all its sessions have ended.

    Stored: the user is not active, and has no sessions.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Goodbye:
            @hookimpl
            def user_deactivated(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "closed", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def password_reset_required(request: Request, user: User) -> None:
    """The password of an account is accepted no more, through ``request.accounts``.

    The person can set a new password by a reset, or log in by another method.

    Stored: the mark. Links that were sent are invalid and all sessions have ended;
    `session_ended` was called for each of them.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Compromised:
            @hookimpl
            def password_reset_required(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "no login", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def factors_removed(request: Request, user: User, reason: str, count: int) -> None:
    """An administrator has removed the second factors and passkeys that a user has lost.

    ``request.actor`` says who, and ``reason`` why: a text of 1 to 500 characters. ``count`` is how many there
    were, in all plugins. It is not called if there were none. The user's sessions stay.

    Stored: the factors are deleted, and no plugin guards the account.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class Lost:
            @hookimpl
            def factors_removed(self, request: Request, user: User, count: int) -> None:
                what = f"has lost {count}"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def user_reactivated(request: Request, user: User) -> None:
    """A deactivated account was made active again, through ``request.accounts`` or since its time is over.

    Its former sessions stay ended.

    Stored: the user is active.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class WelcomeBack:
            @hookimpl
            def user_reactivated(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "is back", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def user_deleted(request: Request, user: User) -> None:
    """An account was deleted: through ``request.accounts``, or since it was never confirmed.

    Every plugin that stores personal data implements this hook and deletes what it
    stores about the person. ``user`` is the account as it was. Rows with a foreign key
    to ``authhost_user.id`` must be deleted by the database (``ON DELETE CASCADE``):
    otherwise the account cannot be deleted.

    If an implementation fails, or a callback that it has passed to ``request.on_commit``, the account
    stays deleted, and ``authhost maintain`` calls the hook of this plugin again, with the same
    ``user``, until it succeeds. So deleting twice must do no harm. If another account has verified the
    address since then, ``user.email`` is None: what is stored under the address belongs to that account.

    Stored: the user is deleted, with addresses, sessions and connections.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from sqlalchemy import delete

        from authhost_doorbell.tables import events


        class Forget:
            @hookimpl
            def user_deleted(self, request: Request, user: User) -> None:
                request.db.execute(delete(events).where(events.c.user_id == user.id))
    """


@hookspec
def login_pending(request: Request, user: User, steps: tuple[str, ...]) -> None:
    """Somebody has given the first proof of identity, and the login waits for more.

    ``steps`` are the keys of what is still needed: ``email_verification``, or ``NAME.key`` of a
    plugin's `LoginStep`. The hook is called again after each step that is not the last one, but
    not at a signup. ``request.logins.pending`` has the authentications so far. If nobody completes
    the login, somebody else may know the password.

    Stored: the pending login.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class KnowsThePassword:
            @hookimpl
            def login_pending(self, request: Request, user: User, steps: tuple[str, ...]) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": f"waits for {steps[0]}"}
                request.insert(events, row | {"at": request.now})
    """


@hookspec
def user_reauthenticated(request: Request, user: User) -> None:
    """A logged-in user has authenticated again, before a sensitive change.

    Stored: the session's new token and new time of authentication.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, User, hookimpl

        from authhost_doorbell.tables import events


        class ProvedAgain:
            @hookimpl
            def user_reauthenticated(self, request: Request, user: User) -> None:
                row = {"id": request.new_id(), "user_id": user.id, "what": "proved again"}
                request.insert(events, row | {"at": request.now})
    """


@hookspec
def plugin_blocked(request: Request, plugin: str, reason: str) -> None:
    """An operator has blocked a plugin at run time: ``authhost plugins block``.

    ``plugin`` is its name, and ``request.actor`` the operator. The blocked plugin itself is called, too:
    no process has blocked it yet.

    Stored: that the plugin is blocked.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Outages:
            @hookimpl
            def plugin_blocked(self, request: Request, plugin: str, reason: str) -> None:
                what = f"{plugin} is blocked: {reason}"
                request.insert(events, {"id": request.new_id(), "what": what, "at": request.now})
    """


@hookspec
def plugin_unblocked(request: Request, plugin: str) -> None:
    """An operator has ended the block of a plugin: ``authhost plugins unblock``.

    ``plugin`` is its name, and ``request.actor`` the operator. The plugin itself is called, too.

    Stored: that the plugin is not blocked any more.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Outages:
            @hookimpl
            def plugin_unblocked(self, request: Request, plugin: str) -> None:
                row = {"id": request.new_id(), "what": f"{plugin} is back", "at": request.now}
                request.insert(events, row)
    """


@hookspec
def impersonation_started(request: Request, user: User, session: Session) -> None:
    """An administrator begins to work in the account of ``user``; see `AccountChanges.impersonate`.

    ``session.actor`` is the administrator or operator, ``session.impersonation_reason`` the reason.
    It is no login: `login_steps`, `before_login` and `user_logged_in` are not called. Until
    `impersonation_ended`, ``request.actor`` is the administrator in everything that is done in this
    session.

    Stored: the session, which lasts at most an hour.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, Session, User, hookimpl

        from authhost_doorbell.tables import events


        class Visitors:
            @hookimpl
            def impersonation_started(self, request: Request, user: User, session: Session) -> None:
                what = f"visited because of {session.impersonation_reason}"
                row = {"id": request.new_id(), "user_id": user.id, "what": what, "at": request.now}
                request.insert(events, row)
    """


@hookspec
def impersonation_ended(request: Request, session: Session, reason: str) -> None:
    """An administrator no longer works in the account of somebody else; `session_ended` was called before.

    ``session.user_id`` is the account, ``session.actor`` the administrator or operator; ``reason`` is that
    of `session_ended`. Other reasons than ``stopped`` are possible: the user can end the session, too.
    ``request.actor`` is who ended it, or None for one that had expired.

    Stored: the session is deleted.

    .. versionadded:: 1.1

    Example::

        from authhost_hookspecs import Request, Session, hookimpl

        from authhost_doorbell.tables import events


        class Departures:
            @hookimpl
            def impersonation_ended(self, request: Request, session: Session, reason: str) -> None:
                row = {"id": request.new_id(), "user_id": session.user_id, "at": request.now}
                request.insert(events, row | {"what": f"the visitor has left: {reason}"})
    """


@hookspec
def flow_refused(request: Request, flow: str, error: Exception, user: User | None) -> None:
    """A flow was refused, for example because of a wrong password or a rate limit.

    ``error`` has a stable ``code``. ``user`` is None if the user is unknown. Two
    refusals for the same identifier have the same ``request.identifier_digest``. One
    call can stand for several refusals: ``request.repeated`` is their number.

    A refused change through ``request.accounts`` has a flow such as ``accounts_delete``,
    and the ``user`` of that account. If a hook has asked for the change, this hook is
    not called: a refusal may be expected there.

    Stored: nothing of the flow, which is rolled back; rows that are written here are stored.

    .. versionadded:: 1.0

    Example::

        from authhost_hookspecs import Request, hookimpl

        from authhost_doorbell.tables import events


        class Guesses:
            @hookimpl
            def flow_refused(self, request: Request, flow: str, error: Exception) -> None:
                if getattr(error, "code", None) == "invalid_credentials":
                    what = f"wrong password for {request.identifier_digest}"
                    request.insert(events, {"id": request.new_id(), "what": what, "at": request.now})
    """
