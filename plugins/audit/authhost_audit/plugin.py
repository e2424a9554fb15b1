"""The plugin: writes one record for each hook call, in the transaction of the flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from authhost_hookspecs import (
    Actor,
    AdminPanel,
    EmailAddress,
    EmailConfirmation,
    Finding,
    Health,
    Host,
    ManagedKey,
    PluginTables,
    Request,
    Session,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)

from authhost_audit.authentications import AUTHENTICATIONS, values_of
from authhost_audit.personal_data import events_of_user
from authhost_audit.recording import record_switch
from authhost_audit.records import AuditEvent, mask_email, request_row, session_ref
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import event_table, metadata

NAME = "audit"
REASON_LENGTH = 500
"""The greatest length of an administrator's reason in characters."""
RETAINED = "the trail must outlive the account; `authhost audit forget` erases the personal fields"


def _ref(session: Session) -> dict[str, str]:
    return {"session": session_ref(session.id)}


class AuditPlugin:
    """Records who did what to which account, when, how and from where. Never records a secret."""

    def _record(self, request: Request, audit_event: AuditEvent, actor: Actor | None = None) -> None:
        settings: AuditSettings = request.plugin_settings(NAME)
        if settings.recording:
            request.insert(event_table, request_row(request, settings, audit_event, actor))

    def _email(self, request: Request, email: str | None) -> str | None:
        settings: AuditSettings = request.plugin_settings(NAME)
        return mask_email(email, settings.addresses) if email is not None else None

    def _social(self, request: Request, event: str, account: SocialAccount, user: User | None = None) -> None:
        user_id = account.user_id if user is None else user.id
        self._record(request, AuditEvent(event, user_id, provider=account.provider, uid=account.uid))

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        proof, data = request.authentication[0], {AUTHENTICATIONS: values_of(request.authentication)}
        audit_event = AuditEvent(
            "user_logged_in", user.id, method=proof.method, provider=proof.provider, data=data
        )
        self._record(request, audit_event)

    @hookimpl
    def login_pending(self, request: Request, user: User, steps: tuple[str, ...]) -> None:
        pending = request.logins.pending
        proof = pending.authentications[-1] if pending is not None else None
        audit_event = AuditEvent(
            "login_pending",
            user.id,
            method=proof.method if proof is not None else None,
            provider=proof.provider if proof is not None else None,
            data={"steps": list(steps)},
        )
        self._record(request, audit_event)

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("user_logged_out", user.id))

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        changes = {"email": [None, self._email(request, user.email)]}
        method = "socialaccount" if request.provider else "password"
        audit_event = AuditEvent(
            "user_signed_up", user.id, method=method, provider=request.provider, changes=changes
        )
        self._record(request, audit_event)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("password_set", user.id))

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("password_changed", user.id))

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("password_reset", user.id))

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        email = self._email(request, email_address.email)
        changes = {"verified": [False, True], "email": [email, email]}
        self._record(request, AuditEvent("email_confirmed", email_address.user_id, changes=changes))

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        address = confirmation.email_address
        email = self._email(request, address.email)
        audit_event = AuditEvent(
            "email_confirmation_sent",
            address.user_id,
            changes={"email": [email, email]},
            data={"signup": signup},
        )
        self._record(request, audit_event)

    @hookimpl
    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        before = from_email_address.email if from_email_address else None
        changes = {"primary": [self._email(request, before), self._email(request, to_email_address.email)]}
        self._record(request, AuditEvent("email_changed", user.id, changes=changes))

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        changes = {"email": [None, self._email(request, email_address.email)]}
        self._record(request, AuditEvent("email_added", user.id, changes=changes))

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        changes = {"email": [self._email(request, email_address.email), None]}
        self._record(request, AuditEvent("email_removed", user.id, changes=changes))

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "pre_social_login", sociallogin.account, sociallogin.user)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_added", sociallogin.account)

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_updated", sociallogin.account)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._social(request, "social_account_removed", socialaccount)

    @hookimpl
    def account_ready(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("account_ready", user.id))

    @hookimpl
    def social_login_begun(self, request: Request, provider: str, process: str) -> None:
        user = request.user
        audit_event = AuditEvent(
            "social_login_begun", user.id if user else None, provider=provider, data={"process": process}
        )
        self._record(request, audit_event)

    @hookimpl
    def password_reset_requested(self, request: Request, user: User | None) -> None:
        self._record(request, AuditEvent("password_reset_requested", user.id if user else None))

    @hookimpl
    def session_ended(self, request: Request, session: Session, reason: str) -> None:
        if reason in ("logout", "expired", "stopped"):  # another event records it, or nobody has ended it
            return
        audit_event = AuditEvent("session_ended", session.user_id, reason=reason, data=_ref(session))
        self._record(request, audit_event, request.actor or session.actor)

    @hookimpl
    def impersonation_started(self, request: Request, user: User, session: Session) -> None:
        """Record who works in the account, and which plugins were not asked for a step of a login."""
        data = {"reason": session.impersonation_reason, "not_asked": list(user.login_guards)}
        audit_event = AuditEvent(
            "impersonation_started", user.id, method=session.method, data={**data, **_ref(session)}
        )
        self._record(request, audit_event, session.actor)

    @hookimpl
    def impersonation_ended(self, request: Request, session: Session, reason: str) -> None:
        """Record the end with the administrator, whoever has ended it: `session_ended` says who did."""
        audit_event = AuditEvent("impersonation_ended", session.user_id, reason=reason, data=_ref(session))
        self._record(request, audit_event, session.actor)

    @hookimpl
    def account_recovered(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("account_recovered", user.id))

    @hookimpl
    def user_deactivated(self, request: Request, user: User) -> None:
        until, reason = user.deactivated_until, user.deactivation_reason
        data = {"until": until.isoformat()} if until is not None else {}
        data |= {"reason": reason[:REASON_LENGTH]} if reason is not None else {}
        self._record(request, AuditEvent("user_deactivated", user.id, data=data))

    @hookimpl
    def password_removed(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("password_removed", user.id))

    @hookimpl
    def password_reset_required(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("password_reset_required", user.id))

    @hookimpl
    def factors_removed(self, request: Request, user: User, reason: str, count: int) -> None:
        data = {"reason": reason[:REASON_LENGTH], "count": count}
        self._record(request, AuditEvent("factors_removed", user.id, data=data))

    @hookimpl
    def user_reactivated(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("user_reactivated", user.id))

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        """Record the deletion. The personal fields of older records expire, or `audit forget` erases them."""
        self._record(request, AuditEvent("user_deleted", user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> Mapping[str, Any]:
        return {"events": events_of_user(request, user)}

    @hookimpl
    def user_reauthenticated(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("user_reauthenticated", user.id))

    @hookimpl
    def plugin_blocked(self, request: Request, plugin: str, reason: str) -> None:
        data = {"reason": reason[:REASON_LENGTH]}
        self._record(request, AuditEvent("plugin_blocked", plugin=plugin, data=data))

    @hookimpl
    def plugin_unblocked(self, request: Request, plugin: str) -> None:
        self._record(request, AuditEvent("plugin_unblocked", plugin=plugin))

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception, user: User | None) -> None:
        fields = getattr(error, "fields", {})
        data = {name: fields[name] for name in ("reason", "plugin_code", "field") if fields.get(name)}
        if request.repeated > 1:
            data["repeated"] = request.repeated
        audit_event = AuditEvent(
            "flow_refused",
            user.id if user else None,
            outcome="refused",
            reason=getattr(error, "code", type(error).__name__),
            flow=flow,
            provider=request.provider,
            plugin=fields.get("plugin"),
            data=data,
        )
        self._record(request, audit_event)

    @hookimpl(optionalhook=True)
    def email_delivery_failed(
        self, request: Request, message_id: UUID, kind: str, user_id: UUID | None, reason: str
    ) -> None:
        """Published by authhost-email."""
        audit_event = AuditEvent(
            "email_delivery_failed",
            user_id,
            outcome="failed",
            reason=reason,
            plugin="email",
            data={"message": str(message_id), "kind": kind},
        )
        self._record(request, audit_event)

    @hookimpl(optionalhook=True)
    def authenticator_added(self, request: Request, user: User, authenticator: Any) -> None:
        """Published by authhost-mfa, like the next ones."""
        self._record_authenticator(request, "authenticator_added", user, authenticator)

    @hookimpl(optionalhook=True)
    def authenticator_removed(self, request: Request, user: User, authenticator: Any) -> None:
        self._record_authenticator(request, "authenticator_removed", user, authenticator)

    @hookimpl(optionalhook=True)
    def authenticator_changed(self, request: Request, user: User, authenticator: Any) -> None:
        self._record_authenticator(request, "authenticator_changed", user, authenticator)

    @hookimpl(optionalhook=True)
    def authenticator_reset(self, request: Request, user: User, authenticator: Any) -> None:
        self._record_authenticator(request, "authenticator_reset", user, authenticator)

    @hookimpl(optionalhook=True)
    def authenticator_used(self, request: Request, user: User, authenticator: Any) -> None:
        self._record_authenticator(request, "authenticator_used", user, authenticator)

    @hookimpl(optionalhook=True)
    def authentication_failed(self, request: Request, user: User, authenticator: Any) -> None:
        self._record_authenticator(request, "authentication_failed", user, authenticator, outcome="failed")

    @hookimpl(optionalhook=True)
    def authentication_refused(self, request: Request, user: User, method: str, repeated: int) -> None:
        audit_event = AuditEvent(
            "authentication_refused",
            user.id,
            outcome="refused",
            reason="too_many_tries",
            method=method,
            plugin="mfa",
            data={"repeated": repeated} if repeated > 1 else None,
        )
        self._record(request, audit_event)

    @hookimpl(optionalhook=True)
    def second_factors_recovered(self, request: Request, user: User) -> None:
        self._record(request, AuditEvent("second_factors_recovered", user.id, plugin="mfa"))

    def _record_authenticator(
        self, request: Request, event: str, user: User, authenticator: Any, *, outcome: str = "success"
    ) -> None:
        data: dict[str, Any] | None = None
        if authenticator.id is not None:
            data = {"authenticator": str(authenticator.id), "second_factor": authenticator.second_factor}
        audit_event = AuditEvent(
            event, user.id, outcome=outcome, method=authenticator.kind, plugin="mfa", data=data
        )
        self._record(request, audit_event)

    @hookimpl
    def host_started(self, host: Host) -> None:
        record_switch(host, host.plugin_settings(NAME))

    @hookimpl
    def register_checks(self) -> list[Callable[[Host], Iterable[Finding]]]:
        from authhost_audit.checks import check_trail

        return [check_trail]

    @hookimpl
    def register_keys(self) -> list[ManagedKey]:
        from authhost_audit.key_changes import change_key, key_states

        return [ManagedKey("signing_key", "signs the seals of the trail", key_states, change_key)]

    @hookimpl
    def register_maintenance(self) -> list[Callable[[Host], str]]:
        from authhost_audit.maintenance import prune, seal

        return [seal, prune]

    @hookimpl
    def register_health(self) -> list[Callable[[Host], Iterable[Health]]]:
        from authhost_audit.monitoring import seal_health

        return [seal_health]

    @hookimpl
    def register_settings(self) -> type[AuditSettings]:
        return AuditSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_audit.migrations", retained={event_table.name: RETAINED})

    @hookimpl
    def register_panels(self) -> list[AdminPanel]:
        from authhost_audit.administration import PANEL

        return [PANEL]

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_audit.commands import audit

        return [audit]


plugin = AuditPlugin()
