"""What plugins may change of a local account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from authhost_hookspecs.protocols.accounts import EmailAddress, Impersonation, User
from authhost_hookspecs.protocols.socialaccounts import SocialAccount


class AccountChanges(Protocol):
    """Administrative changes of any account, as ``request.accounts``. Since 1.1.

    They need no login: the plugin decides who may make them. Each method except
    `export` and `impersonate` locks the account, calls `before_change`, changes the rows, and calls the
    hooks that a flow calls for the same change. It is atomic: if it raises an error,
    everything is rolled back, including the rows of the hooks that it called. It is
    also rolled back if the plugin calls it in a hook and that call of the hook fails
    later. If the account already has the requested state, nothing changes and no hook
    is called.

    Every refusal is a `FlowError`, for example ``user_not_found``, ``invalid_email``,
    or ``vetoed`` by an implementation of `before_change`. Outside hooks `flow_refused`
    is called for it, with the method's name after ``accounts_`` as the flow. Do not
    delete or deactivate an account in a hook of its own signup.
    """

    def create(
        self,
        email: str | None = None,
        *,
        username: str | None = None,
        verified: bool = False,
        invite: bool = False,
    ) -> User:
        """Create an account without a password, and return it. It needs an address or a username.

        Its owner sets a password by the link of `invite` or `send_reset`, or logs in by a
        method of a plugin. The rules of signups do not apply: signup may be closed,
        `before_signup` and `before_change` are not called, and the account does not expire.
        Calls `user_signed_up`, with ``verified`` also `email_confirmed`, and `account_ready`
        unless its owner still has to prove the address. ``invite`` sends what `invite` sends; otherwise
        nothing is sent. Refusals: ``email_taken``, ``username_taken``, ``invalid_email``,
        ``invalid_input``, and those of `invite`.
        """

    def invite(self, user_id: UUID) -> None:
        """Send a message of the kind ``invitation`` to the primary address.

        Whoever follows its link proves the mailbox, and sets a password. It works for
        ``invitation_timeout`` seconds. Refusals: ``email_not_found``,
        ``account_inactive``, ``delivery_failed``.
        """

    def add_email(self, user_id: UUID, email: str, *, verified: bool = False) -> EmailAddress:
        """Add an address, and verify it with ``verified=True``; no message is sent.

        Calls `email_added`, and for a verified address also the hooks of `verify_email`.
        If the account has the address already, it is only verified, and only with
        ``verified=True``. Refusals: ``too_many_emails``, and ``email_taken`` if another
        account has verified it.
        """

    def verify_email(self, user_id: UUID, email: str) -> EmailAddress:
        """Mark an address as verified. It becomes the primary one if the account has none.

        Calls `email_confirmed`, and `account_ready` if that completes the signup.
        Unlike a confirmation by the owner of the mailbox, the account keeps its
        password and connections: anybody may have signed up with the address. Verify
        only an address that you know to be the user's. Refusals: ``email_not_found``, ``email_taken``.
        """

    def make_primary(self, user_id: UUID, email: str) -> EmailAddress:
        """Make an address the primary one, and cancel links that were sent. Calls `email_changed`.

        Refusals: ``email_not_found``, and ``email_not_verified`` if another address of
        the account is verified, or another account claims this one.
        """

    def remove_email(self, user_id: UUID, email: str) -> EmailAddress:
        """Remove an address, and cancel links that were sent. Calls `email_removed`.

        Refusals: ``email_not_found``, ``primary_email_required``.
        """

    def remove_password(self, user_id: UUID) -> None:
        """Remove the password, even if it is the only login method.

        Links that were sent and pending logins become invalid. As after any other
        change of the password, all sessions end with the reason ``password_removed``,
        except the one of this request. Calls `password_removed`.
        """

    def send_reset(self, user_id: UUID, email: str | None = None) -> None:
        """Send the link of a password reset to the primary address, or to ``email``, another of the account.

        Nobody but the user learns the new password (ASVS 5.0, 6.4.6). Calls
        `password_reset_requested`. Refusals: ``email_not_found``, ``email_not_verified`` if another
        address of the account is verified, ``account_inactive``, ``delivery_failed``.
        """

    def require_reset(self, user_id: UUID) -> None:
        """Accept the password no more: it is refused with ``password_reset_required``.

        Links that were sent and pending logins become invalid, and all sessions end with
        the reason ``reset_required``, also those of other methods, which can log in again. Calls
        `session_ended`, and `password_reset_required` if the account has a password that was
        still accepted.
        """

    def disconnect(self, user_id: UUID, account_id: UUID) -> SocialAccount:
        """Disconnect an account at a provider, even if it is the only login method; return it.

        Calls `social_account_removed`. Refusal: ``social_account_not_found``.
        """

    def remove_factors(self, user_id: UUID, *, reason: str) -> int:
        """Remove the second factors and passkeys of a user who has lost them; return how many there were.

        ``reason`` has 1 to 500 characters. Check first that it is the user who asks: the next login needs
        its first proof alone, such as the password. Pending logins become invalid, sessions stay. Calls
        `remove_factors`, and `factors_removed` if there were any. Refusals: ``invalid_input``, and
        ``factors_not_removed`` with the field ``plugin`` if that plugin is blocked, is not loaded or fails.
        """

    def end_session(self, user_id: UUID, session_id: UUID) -> None:
        """End one session. Calls `session_ended` with the reason ``revoked``.

        Refusal: ``session_not_found``.
        """

    def end_sessions(self, user_id: UUID) -> int:
        """End all sessions, and return their number. Calls `session_ended` with the reason ``revoked``."""

    def deactivate(self, user_id: UUID, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Deactivate the account: nobody can log in to it, and all sessions end.

        ``until`` is when it becomes active again by itself, with a time zone. ``reason``
        has 1 to 500 characters; administrators see it, and the export of the account
        contains it. Links and unconfirmed addresses are removed. Calls `email_removed`,
        `session_ended` with the reason ``deactivated``, and `user_deactivated`.
        """

    def reactivate(self, user_id: UUID) -> None:
        """Make the account active again. Former sessions stay ended. Calls `user_reactivated`."""

    def delete(self, user_id: UUID) -> tuple[str, ...]:
        """Delete the account with everything that the host stores of it.

        Calls `session_ended` with the reason ``deleted``, `social_account_removed`, and
        `user_deleted`, for which plugins delete what they store. Returns the names of the plugins that
        failed to delete their data or are blocked: ``authhost maintain`` calls their hook again.
        Refusals: ``conflict`` if a table of the application or of a plugin refers to the account.
        """

    def impersonate(self, user_id: UUID, *, reason: str) -> Impersonation:
        """Begin a session in which ``request.actor`` works in the account, to see what its user sees.

        ``reason`` has 1 to 500 characters. The actor is an operator, or a user who is an administrator:
        by the setting ``administrators`` or by `is_administrator`. If it is the logged-in user of this
        request, the new session ends with that user's own one. It lasts at most 60 minutes, and nothing
        extends it. The request stays that of the administrator; use the token in another one.

        It is no login: no proof or step is asked for, and ``last_login`` stays. It does not call
        `before_change`. Calls `impersonation_started`. In the session the host refuses changes of
        the account with ``impersonated``: passwords, addresses, factors, connections, sessions,
        reauthentications, and everything through ``request.accounts``.

        Refusals: ``impersonation_refused`` with the field ``reason``, ``account_inactive``,
        ``impersonated``, ``invalid_input``, and ``login_required`` if the administrator's session
        has ended meanwhile.
        """

    def export(self, user_id: UUID) -> Mapping[str, Any]:
        """Return what is stored of the account, as values for JSON, without secrets.

        It does not call `before_change`. ``"account"`` has the data of the host, ``"plugins"`` the result of
        `export_user` by the plugin's name. Refusals: ``export_failed`` with the field
        ``plugin``, since an incomplete export would not be noticed.
        """
