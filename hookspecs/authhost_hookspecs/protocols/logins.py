"""What plugins may do with logins: complete their steps, and log in by methods of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from authhost_hookspecs.declarations import Factor
from authhost_hookspecs.protocols.accounts import Authentication, User


class PendingLogin(Protocol):
    """A login after the first proof of identity, before there is a session. Since 1.1."""

    @property
    def user(self) -> User:
        """The account. The person has proved only what `authentications` say."""

    @property
    def authentications(self) -> tuple[Authentication, ...]:
        """The authentications of this login so far, the first one first."""

    @property
    def started(self) -> datetime:
        """When the first proof was given."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The keys of what is still needed: ``email_verification``, or ``NAME.key`` of a `LoginStep`.

        It is empty in `login_steps` and `before_login`.
        """

    @property
    def password_tag(self) -> str:
        """A keyed hash that changes whenever the account's password changes. It reveals nothing of it.

        Store it with what must end with the password, such as the trust in a browser.
        """


class Logins(Protocol):
    """Logins by plugins, as ``request.logins``. Since 1.1.

    Every refusal is a `FlowError`; the changes of the method are rolled back then, and
    `flow_refused` is called. The plugin must have verified what it claims: the host
    believes it. A plugin can only complete its own steps, and only set its own guard.
    """

    @property
    def pending(self) -> PendingLogin | None:
        """The pending login of this browser, or in a hook the login that runs; None if there is none.

        A unit of work reads it once: if another request completes it meanwhile, `complete_step` is refused.
        """

    def complete_step(self, key: str, *, method: str = "", factors: Sequence[Factor] = ()) -> None:
        """Complete a step of the pending login; ``key`` is ``NAME.key``.

        With ``method``, the session records an authentication with these ``factors``. If no other
        step is left, the person is logged in, and ``request.user`` is set. `login_steps` may require
        the step no more, since the plugin has stored already what it was for. Refusals:
        ``login_required`` if there is no pending login that can be continued (also if another
        request was faster), and those of a login. Raises ``ValueError`` for the step of another
        plugin.
        """

    def log_in(self, user_id: UUID, *, method: str, factors: Sequence[Factor]) -> None:
        """Log a person in who has proved by ``method`` that the account is theirs, such as by a passkey.

        The login has the same steps as any other. Refusals: ``invalid_credentials`` if there is no such
        account or it is deactivated, and those of a login.
        """

    def sign_up(
        self, *, email: str, username: str | None = None, method: str, factors: Sequence[Factor]
    ) -> User:
        """Create an account without a password for a person who will log in by ``method``; return its user.

        It is the signup with a password in everything else: its rules, its limits, its hooks, the
        confirmation and the login with its steps. With mandatory verification the login waits for the
        confirmation, and a taken address behaves like a free one: the account is stored, but its address
        claims nothing. So store the credential for the returned user in any case. It is somebody's who
        may not own the mailbox: delete it in `account_recovered`.

        A refusal has the flow ``signup``: ``signup_closed``, ``invalid_input``, ``invalid_email``,
        ``rate_limited``, ``vetoed``, ``username_taken``, ``email_taken`` (without mandatory verification),
        ``delivery_failed``, ``conflict``, and those of a login.
        """

    def reauthenticate(self, *, method: str, factors: Sequence[Factor]) -> None:
        """Record that the logged-in user has authenticated again. The session gets a new token.

        Calls `user_reauthenticated`. Refusal: ``login_required``.
        """

    def lock(self, user_id: UUID) -> None:
        """Lock the account until this unit of work ends; other units that lock it wait.

        Lock it before you write rows of the account, if you complete a step, log in or change the account
        after that: the host locks the account first, too, and two requests that lock in different
        orders end in a deadlock.
        """

    def guard(self, plugin: str, user_id: UUID) -> None:
        """Require ``plugin`` for each login to the account, such as after a second factor was added.

        While the plugin is not installed, is blocked, or has failed to load, nobody can log in to the
        account (``login_unavailable``), unless the operator allows it by the setting
        ``login_without_plugins``. So its steps cannot be avoided by removing it. `User.login_guards`
        says so in `login_steps`, without a query. Refusal: ``user_not_found``.
        """

    def unguard(self, plugin: str, user_id: UUID) -> None:
        """Require ``plugin`` no more. Refusal: ``user_not_found``."""
