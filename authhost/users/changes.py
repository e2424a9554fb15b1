"""Administrative changes of an account: ``request.accounts``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_hookspecs import ChangeKind

from authhost.account import emails, sessions, verification
from authhost.account.deactivation import deactivate_account, reactivate_account
from authhost.account.flow import check_change
from authhost.account.password import send_reset_link
from authhost.account.recovery import delete_links
from authhost.errors import (
    AccountInactive,
    EmailNotFound,
    EmailNotVerified,
    FactorsNotRemoved,
    InvalidInput,
    SessionNotFound,
    SocialAccountNotFound,
    UserNotFound,
)
from authhost.records import EmailAddress, Impersonation, SocialAccount, User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, email_key, reason as parse_reason
from authhost.socialaccount.connections import delete_connection
from authhost.store import queries, statements
from authhost.users.atomic_changes import AtomicChanges
from authhost.users.creation import create_account, send_invitation
from authhost.users.deletion import delete_account
from authhost.users.export import export_account
from authhost.users.impersonation import start_impersonation
from authhost.users.impersonation_links import create_link


class Changes(AtomicChanges):
    """Implements `authhost_hookspecs.AccountChanges` for one request."""

    __slots__ = ()

    def create(
        self,
        email: str | None = None,
        *,
        username: str | None = None,
        verified: bool = False,
        invite: bool = False,
    ) -> User:
        """Create an account without a password; ``invite`` sends the link to set one."""
        with self._recorded("create"):
            user = create_account(self._request, email, username, verified=verified)
            if invite:
                send_invitation(self._request, user)
            return user

    def invite(self, user_id: UUID) -> None:
        """Send a link to the primary address, by which its owner sets a password."""
        with self._changing("invite", user_id) as user:
            send_invitation(self._request, _active(user))

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

    def send_reset(self, user_id: UUID, email: str | None = None) -> None:
        """Send the link of a password reset to the primary address, or to another one of the account."""
        request = self._request
        with self._changing("send_reset", user_id) as user:
            address = _address(queries.addresses(request, _active(user).id), email)
            if not (address.verified or verification.is_first_proof(request, address)):
                raise EmailNotVerified(field="email")
            send_reset_link(request, user, address, timeout=request.settings.password_reset_timeout)
            request.services.hooks.password_reset_requested(request, user)

    def require_reset(self, user_id: UUID) -> None:
        """Accept the password no more, and end all sessions."""
        request = self._request
        with self._changing("require_reset", user_id) as user:
            account = queries.account_by_id(request, user.id)
            stored = account.password if account is not None else None
            self._check(user, "require_reset")
            delete_links(request, user)
            sessions.end_all_sessions(request, user, "reset_required")
            if stored is None or request.services.passwords.needs_reset(stored):
                return
            marked = request.services.passwords.require_reset(stored)
            values = {"of_user": user.id, "old_password": stored, "new_password": marked}
            request.send_statement(statements.CHANGE_PASSWORD, values)
            request.services.hooks.password_reset_required(request, user)

    def disconnect(self, user_id: UUID, account_id: UUID) -> SocialAccount:
        """Disconnect an account at a provider."""
        request = self._request
        with self._changing("disconnect", user_id) as user:
            accounts = queries.social_accounts(request, user.id)
            account = next((each for each in accounts if each.id == account_id), None)
            if account is None:
                raise SocialAccountNotFound
            self._check(user, "disconnect", provider=account.provider)
            delete_connection(request, user, account)
            return account

    def remove_factors(self, user_id: UUID, *, reason: str) -> int:
        """Remove the second factors and passkeys of a user who has lost them; return how many there were."""
        request = self._request
        with self._changing("remove_factors", user_id) as user:
            reason = parse_reason(reason)
            self._check(user, "remove_factors")
            sessions.end_logins_at_steps(request, user)
            count = request.services.hooks.remove_factors(request, user, reason)
            account = queries.account_by_id(request, user.id)
            if account is None:
                raise UserNotFound
            if account.user.login_guards:
                raise FactorsNotRemoved(plugin=account.user.login_guards[0])
            if count:
                request.services.hooks.factors_removed(request, account.user, reason, count)
            return count

    def end_session(self, user_id: UUID, session_id: UUID) -> None:
        """End one session."""
        request = self._request
        with self._changing("end_session", user_id) as user:
            if session_id not in {each.id for each in sessions.live_sessions(request, user.id)}:
                raise SessionNotFound
            self._check(user, "end_sessions")
            own = request.session is not None and request.session.id == session_id
            if own:
                request.services.hooks.user_logged_out(request, user)
            sessions.end_one_session(request, user, session_id, "revoked")
            if own:
                request.log_out()

    def end_sessions(self, user_id: UUID) -> int:
        """End all sessions, and return their number."""
        with self._changing("end_sessions", user_id) as user:
            if not queries.sessions(self._request, user.id):
                sessions.end_logins_at_steps(self._request, user)
                return 0
            self._check(user, "end_sessions")
            return sessions.end_all_sessions(self._request, user, "revoked")

    def deactivate(self, user_id: UUID, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Deactivate the account: nobody can log in to it, and all sessions end."""
        with self._changing("deactivate", user_id) as user:
            until, reason = _end_of_deactivation(self._request, until), _reason(reason)
            if user.is_active or (user.deactivated_until, user.deactivation_reason) != (until, reason):
                self._check(user, "deactivate")
                deactivate_account(self._request, user, until=until, reason=reason)

    def reactivate(self, user_id: UUID) -> None:
        """Make the account active again."""
        with self._changing("reactivate", user_id) as user:
            if not user.is_active or user.deactivated_until is not None:
                self._check(user, "reactivate")
                reactivate_account(self._request, user)

    def delete(self, user_id: UUID) -> tuple[str, ...]:
        """Delete the account with everything that is stored of it; see `Users.delete`."""
        request = self._request
        with self._changing("delete", user_id) as user:
            self._check(user, "delete")
            return delete_account(request, user)

    def export(self, user_id: UUID) -> Mapping[str, Any]:
        """Return what is stored of the account, as values for JSON, without secrets."""
        with self._changing("export", user_id):
            return export_account(self._request, user_id)

    def impersonate(self, user_id: UUID, *, reason: str) -> Impersonation:
        """Begin a session in which an administrator works in the account."""
        with self._changing("impersonate", user_id) as user:
            return start_impersonation(self._request, user, reason)

    def impersonation_link(self, user_id: UUID, *, reason: str) -> str:
        """Return the URL of a link by which an operator begins to work in the account, in a browser."""
        with self._changing("impersonate", user_id) as user:
            return create_link(self._request, user, reason)

    @contextmanager
    def _changing_address(self, name: str, user_id: UUID, email: str) -> Iterator[tuple[User, EmailAddress]]:
        with self._changing(name, user_id) as user:
            address = queries.address_of(self._request, user.id, parse_email(email).key)
            if address is None:
                raise EmailNotFound(field="email")
            yield user, address

    def _check(
        self, user: User, kind: ChangeKind, *, email: str | None = None, provider: str | None = None
    ) -> None:
        check_change(self._request, user, kind, email=email, provider=provider, administrative=True)

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


def _address(addresses: list[EmailAddress], email: str | None) -> EmailAddress:
    """Return the primary address, or the given one; raises `EmailNotFound`."""
    key = parse_email(email).key if email is not None else None
    for each in addresses:
        if each.primary if key is None else email_key(each.email) == key:
            return each
    raise EmailNotFound(field="email")


def _active(user: User) -> User:
    """Return the user; raise `AccountInactive` if its links would not work."""
    if not user.is_active:
        raise AccountInactive
    return user


def _end_of_deactivation(request: Request, until: datetime | None) -> datetime | None:
    if until is not None and (until.tzinfo is None or until <= request.now):
        raise InvalidInput("until must be a time in the future, with a time zone.", field="until")
    return until


def _reason(reason: str | None) -> str | None:
    return parse_reason(reason) if reason is not None else None
