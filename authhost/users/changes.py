"""Administrative changes of an account: ``request.accounts``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from authhost_hookspecs import ChangeKind
from sqlalchemy.exc import DBAPIError

from authhost.account import emails, sessions, verification
from authhost.account.deactivation import deactivate_account, reactivate_account
from authhost.account.flow import check_change
from authhost.account.recovery import delete_links
from authhost.errors import AuthError, Conflict, EmailNotFound, InvalidInput, UserNotFound
from authhost.records import EmailAddress, User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, email_key
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock
from authhost.store.unit_of_work import BoundToUnit
from authhost.users.deletion import delete_account
from authhost.users.export import export_account


class Changes(BoundToUnit):
    """Implements `authhost_hookspecs.AccountChanges` for one request."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def add_email(self, user_id: UUID, email: str, *, verified: bool = False) -> EmailAddress:
        """Add an address, and verify it with ``verified=True``; no message is sent."""
        request = self._request
        with self._changing("add_email", user_id) as user:
            given = parse_email(email)
            existing = queries.addresses(request, user.id)
            address = next((each for each in existing if email_key(each.email) == given.key), None)
            if address is not None:
                return self._verify(user, address) if verified else address
            emails.check_email_limit(request, existing)
            self._check(user, "add_email", email=given.address)
            if verified:
                self._check_verification(user, given.address, primary=False)
            address = emails.store_added(request, user, given)
            request.services.hooks.email_added(request, user, address)
            return self._store_verified(user, address) if verified else address

    def verify_email(self, user_id: UUID, email: str) -> EmailAddress:
        """Make an address count as verified."""
        with self._changing_address("verify_email", user_id, email) as (user, address):
            return self._verify(user, address)

    def make_primary(self, user_id: UUID, email: str) -> EmailAddress:
        """Make an address the primary one."""
        request = self._request
        with self._changing_address("make_primary", user_id, email) as (user, address):
            if address.primary:
                return address
            others = queries.addresses(request, user.id)
            emails.check_may_be_primary(address, others)
            self._check(user, "make_primary", email=address.email)
            return emails.change_primary(request, user, address, others)

    def remove_email(self, user_id: UUID, email: str) -> EmailAddress:
        """Remove an address that is not the primary one."""
        with self._changing_address("remove_email", user_id, email) as (user, address):
            emails.check_removable(address)
            self._check(user, "remove_email", email=address.email)
            emails.delete_address(self._request, user, address)
            return address

    def remove_password(self, user_id: UUID) -> None:
        """Remove the password. All sessions of the account end, except that of this request."""
        request = self._request
        with self._changing("remove_password", user_id) as user:
            if not user.has_usable_password:
                return
            self._check(user, "remove_password")
            request.send_statement(statements.WIPE_PASSWORD, {"of_user": user.id})
            delete_links(request, user)
            self._refresh(user)
            request.set_stored_password(user, None)
            keep = request.session if self._is_own(user) else None
            sessions.end_sessions(request, user, "password_removed", keep=keep)
            request.services.hooks.password_removed(request, replace(user, has_usable_password=False))

    def end_sessions(self, user_id: UUID) -> int:
        """End all sessions, and return their number."""
        with self._changing("end_sessions", user_id) as user:
            if not queries.sessions(self._request, user.id):
                sessions.end_open_logins(self._request, user)
                return 0
            self._check(user, "end_sessions")
            return sessions.end_all_sessions(self._request, user, "revoked")

    def deactivate(self, user_id: UUID) -> None:
        """Deactivate the account: nobody can log in to it, and all sessions end."""
        with self._changing("deactivate", user_id) as user:
            if user.is_active:
                self._check(user, "deactivate")
                deactivate_account(self._request, user)

    def reactivate(self, user_id: UUID) -> None:
        """Make the account active again."""
        with self._changing("reactivate", user_id) as user:
            if not user.is_active:
                self._check(user, "reactivate")
                reactivate_account(self._request, user)

    def delete(self, user_id: UUID) -> None:
        """Delete the account with everything that the host stores of it."""
        request = self._request
        with self._changing("delete", user_id) as user:
            self._check(user, "delete")
            delete_account(request, user)

    def export(self, user_id: UUID) -> Mapping[str, Any]:
        """Return what is stored of the account, as values for JSON, without secrets."""
        with self._changing("export", user_id):
            return export_account(self._request, user_id)

    @contextmanager
    def _changing(self, name: str, user_id: UUID) -> Iterator[User]:
        """Lock an account and yield its user. Undo everything if the block raises an error.

        A refusal outside hooks is recorded like that of a flow. Raises `Conflict` after a
        deadlock if nothing else was written before: like a flow, the change may then be
        tried again.
        """
        request = self._request
        request.check_open(writing=True)
        flow, whole, user = request.flow_state(), request.clean and not request.depth, None
        try:
            with request.atomic():
                user = self._lock(user_id)
                yield user
        except AuthError as refusal:
            self._record(name, refusal, user)
            raise
        except DBAPIError as error:
            if not (whole and is_deadlock(error)):
                raise
            request.undo_all()
            conflict = Conflict()
            self._record(name, conflict, user)
            raise conflict from error
        finally:
            # A verification that completes a signup has set what that signup was given.
            request.restore_flow(flow)

    def _lock(self, user_id: UUID) -> User:
        if not isinstance(user_id, UUID):
            raise InvalidInput("user_id must be a UUID.", field="user_id")
        queries.lock_account(self._request, user_id)
        account = queries.account_by_id(self._request, user_id)
        if account is None:
            raise UserNotFound
        return account.user

    def _record(self, name: str, refusal: AuthError, user: User | None) -> None:
        """Call `flow_refused`, unless a hook has asked for the change: its refusal may be expected there."""
        refusal.__dict__.pop("user", None)
        request, flow = self._request, f"accounts_{name}"
        if request.depth:
            return
        request.begin_flow()
        repeated = request.services.refusals.count(request, flow, refusal, user)
        if repeated:
            request.refused(flow, refusal, user, repeated)

    @contextmanager
    def _changing_address(self, name: str, user_id: UUID, email: str) -> Iterator[tuple[User, EmailAddress]]:
        with self._changing(name, user_id) as user:
            address = queries.address_of(self._request, user.id, parse_email(email).key)
            if address is None:
                raise EmailNotFound(field="email")
            yield user, address

    def _check(self, user: User, kind: ChangeKind, *, email: str | None = None) -> None:
        check_change(self._request, user, kind, email=email, administrative=True)

    def _verify(self, user: User, address: EmailAddress) -> EmailAddress:
        if address.verified:
            return address
        self._check_verification(user, address.email, primary=address.primary)
        return self._store_verified(user, address)

    def _check_verification(self, user: User, email: str, *, primary: bool) -> None:
        self._check(user, "verify_email", email=email)
        if verification.becomes_primary(self._request, user, primary=primary):
            self._check(user, "make_primary", email=email)

    def _store_verified(self, user: User, address: EmailAddress) -> EmailAddress:
        previous, address = verification.verify_address(self._request, user, address)
        request = self._request
        login = request.flow_state().sociallogin
        if login is not None and login.account.user_id == user.id:
            verification.call_confirmed(request, address, previous)
            return address
        with request.hooks_of_another_user(keep_own=not request.depth):
            verification.call_confirmed(request, address, previous)
        return address

    def _is_own(self, user: User) -> bool:
        return self._request.user is not None and self._request.user.id == user.id

    def _refresh(self, user: User) -> None:
        account = queries.account_by_id(self._request, user.id)
        if account is not None:
            self._request.refresh(account.user)
