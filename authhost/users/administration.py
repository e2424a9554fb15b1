"""``host.users``: what administrators do with accounts, as calls of the application or of a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_hookspecs import Actor

from authhost.records import EmailAddress, Impersonation, SocialAccount, User
from authhost.request import Request
from authhost.users.changes import Changes
from authhost.users.directory import Directory
from authhost.users.impersonation_links import begin_impersonation
from authhost.users.snapshot import Account, read_account


class Users(Directory):
    """Finds accounts, and changes them without their owner's login.

    Each change is a unit of work of its own, with the hooks of the same change in a flow, and names the
    ``actor`` who makes it, which the audit trail records: ``Actor("user", admin.id)`` or
    ``Actor("operator", name="root")``. To make several changes in one transaction, use
    ``with host.request(actor=actor) as request: request.accounts.…``. Refusals are those of
    `authhost_hookspecs.AccountChanges`, such as `UserNotFound` and `Vetoed`. The application decides who may
    call it.
    """

    def read(self, user_id: UUID) -> Account | None:
        """Return everything that is stored of an account, or None if there is no such account."""
        self._check_open()
        with Request(self._services) as request:
            return read_account(request, user_id)

    def create(
        self,
        email: str | None = None,
        *,
        actor: Actor,
        username: str | None = None,
        verified: bool = False,
        invite: bool = False,
    ) -> User:
        """Create an account without a password, and return it. ``invite`` sends a link to set one."""
        with self._changes(actor) as accounts:
            return accounts.create(email, username=username, verified=verified, invite=invite)

    def invite(self, user_id: UUID, *, actor: Actor) -> None:
        """Send the owner a link to set a password, which works for ``invitation_timeout``."""
        with self._changes(actor) as accounts:
            accounts.invite(user_id)

    def add_email(self, user_id: UUID, email: str, *, actor: Actor, verified: bool = False) -> EmailAddress:
        """Add an address, and verify it with ``verified=True``; no message is sent."""
        with self._changes(actor) as accounts:
            return accounts.add_email(user_id, email, verified=verified)

    def verify_email(self, user_id: UUID, email: str, *, actor: Actor) -> EmailAddress:
        """Make an address count as verified."""
        with self._changes(actor) as accounts:
            return accounts.verify_email(user_id, email)

    def make_primary(self, user_id: UUID, email: str, *, actor: Actor) -> EmailAddress:
        """Make an address the primary one."""
        with self._changes(actor) as accounts:
            return accounts.make_primary(user_id, email)

    def remove_email(self, user_id: UUID, email: str, *, actor: Actor) -> EmailAddress:
        """Remove an address that is not the primary one."""
        with self._changes(actor) as accounts:
            return accounts.remove_email(user_id, email)

    def remove_password(self, user_id: UUID, *, actor: Actor) -> None:
        """Remove the password. All sessions end."""
        with self._changes(actor) as accounts:
            accounts.remove_password(user_id)

    def send_reset(self, user_id: UUID, email: str | None = None, *, actor: Actor) -> None:
        """Send the link of a password reset to the primary address, or to another one of the account."""
        with self._changes(actor) as accounts:
            accounts.send_reset(user_id, email)

    def require_reset(self, user_id: UUID, *, actor: Actor) -> None:
        """Accept the password no more, and end all sessions."""
        with self._changes(actor) as accounts:
            accounts.require_reset(user_id)

    def disconnect(self, user_id: UUID, account_id: UUID, *, actor: Actor) -> SocialAccount:
        """Disconnect an account at a provider; return it as it was."""
        with self._changes(actor) as accounts:
            return accounts.disconnect(user_id, account_id)

    def remove_factors(self, user_id: UUID, *, actor: Actor, reason: str) -> int:
        """Remove the second factors and passkeys of a user who has lost them; return how many there were."""
        with self._changes(actor) as accounts:
            return accounts.remove_factors(user_id, reason=reason)

    def end_session(self, user_id: UUID, session_id: UUID, *, actor: Actor) -> None:
        """End one session."""
        with self._changes(actor) as accounts:
            accounts.end_session(user_id, session_id)

    def end_sessions(self, user_id: UUID, *, actor: Actor) -> int:
        """End all sessions, and return their number."""
        with self._changes(actor) as accounts:
            return accounts.end_sessions(user_id)

    def deactivate(
        self, user_id: UUID, *, actor: Actor, until: datetime | None = None, reason: str | None = None
    ) -> None:
        """Deactivate the account, until a time or for good: nobody can log in to it, and all sessions end."""
        with self._changes(actor) as accounts:
            accounts.deactivate(user_id, until=until, reason=reason)

    def reactivate(self, user_id: UUID, *, actor: Actor) -> None:
        """Make the account active again. Its former sessions stay ended."""
        with self._changes(actor) as accounts:
            accounts.reactivate(user_id)

    def delete(self, user_id: UUID, *, actor: Actor) -> tuple[str, ...]:
        """Delete the account with everything that the host and the plugins store of it.

        Returns the plugins that failed to delete their data or are blocked: `authhost maintain` calls
        them again.
        """
        with self._changes(actor) as accounts:
            return accounts.delete(user_id)

    def export(self, user_id: UUID, *, actor: Actor) -> Mapping[str, Any]:
        """Return what the host and the plugins store of the account, as values for JSON, without secrets."""
        with self._changes(actor) as accounts:
            return accounts.export(user_id)

    def impersonate(self, user_id: UUID, *, actor: Actor, reason: str) -> Impersonation:
        """Begin a session in which the actor works in the account, for at most an hour."""
        with self._changes(actor) as accounts:
            return accounts.impersonate(user_id, reason=reason)

    def impersonation_link(self, user_id: UUID, *, actor: Actor, reason: str) -> str:
        """Return the URL of a link by which an operator works in the account: once, within five minutes."""
        with self._changes(actor) as accounts:
            return accounts.impersonation_link(user_id, reason=reason)

    begin_impersonation = staticmethod(begin_impersonation)

    @contextmanager
    def _changes(self, actor: Actor) -> Iterator[Changes]:
        if not isinstance(actor, Actor):
            raise TypeError("actor must be an Actor, which says who makes the change")
        self._check_open()
        with Request(self._services, actor=actor) as request:
            yield Changes(request)
