"""One row for each hook call, in the transaction of the flow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from authhost_hookspecs import (
    EmailAddress,
    EmailConfirmation,
    PluginTables,
    Request,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)

from authhost_audit.tables import event_table, metadata


def mask(email: str) -> str:
    """``ann@example.org`` as ``a***@example.org``."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


def _of_account(account: SocialAccount) -> dict[str, Any]:
    return {"provider": account.provider, "uid": account.uid}


class AuditPlugin:
    """Records who did what to whom, when and from where; never a secret."""

    def _record(
        self,
        request: Request,
        event: str,
        user_id: UUID | None,
        details: dict[str, Any] | None = None,
        *,
        outcome: str = "success",
        reason: str | None = None,
        flow: str | None = None,
    ) -> None:
        actor, session = request.user, request.session
        request.insert(
            event_table,
            {
                "id": request.new_id(),
                "time": request.now,
                "event": event,
                "outcome": outcome,
                "reason": reason,
                "flow": flow,
                "actor_id": actor.id if actor else None,
                "user_id": user_id,
                "session_id": session.id if session else None,
                "request_id": request.id,
                "ip_address": request.ip_address,
                "user_agent": request.user_agent,
                "details": details or {},
            },
        )

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        proof = request.authentication[0]
        details = {"method": proof.method}
        if proof.provider is not None:
            details["provider"] = proof.provider
        self._record(request, "user_logged_in", user.id, details)

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._record(request, "user_logged_out", user.id)

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        self._record(request, "user_signed_up", user.id)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._record(request, "password_set", user.id)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._record(request, "password_changed", user.id)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._record(request, "password_reset", user.id)

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        details = {"email": mask(email_address.email)}
        self._record(request, "email_confirmed", email_address.user_id, details)

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        address = confirmation.email_address
        details = {"email": mask(address.email), "signup": signup}
        self._record(request, "email_confirmation_sent", address.user_id, details)

    @hookimpl
    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        details = {
            "from": mask(from_email_address.email) if from_email_address else None,
            "to": mask(to_email_address.email),
        }
        self._record(request, "email_changed", user.id, details)

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._record(request, "email_added", user.id, {"email": mask(email_address.email)})

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._record(request, "email_removed", user.id, {"email": mask(email_address.email)})

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        user = sociallogin.user
        self._record(request, "pre_social_login", user.id if user else None, _of_account(sociallogin.account))

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        account = sociallogin.account
        self._record(request, "social_account_added", account.user_id, _of_account(account))

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        account = sociallogin.account
        self._record(request, "social_account_updated", account.user_id, _of_account(account))

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._record(request, "social_account_removed", socialaccount.user_id, _of_account(socialaccount))

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception, user: User | None) -> None:
        self._record(
            request,
            "flow_refused",
            user.id if user else None,
            outcome="refused",
            reason=getattr(error, "code", type(error).__name__),
            flow=flow,
        )

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_audit.migrations")

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_audit.commands import audit

        return [audit]


plugin = AuditPlugin()
