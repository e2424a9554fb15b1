"""One record for each hook call, in the transaction of the flow."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import (
    EmailAddress,
    EmailConfirmation,
    Host,
    PluginTables,
    Request,
    Session,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)

from authhost_audit.records import Said, of_request, session_ref, shown_email
from authhost_audit.settings import AuditSettings
from authhost_audit.switch import note_switch
from authhost_audit.tables import event_table, metadata

NAME = "audit"


class AuditPlugin:
    """Records who did what to whom, when, how and from where; never a secret."""

    def _record(self, request: Request, said: Said) -> None:
        settings: AuditSettings = request.plugin_settings(NAME)
        if settings.recording:
            request.insert(event_table, of_request(request, settings, said))

    def _email(self, request: Request, email: str | None) -> str | None:
        settings: AuditSettings = request.plugin_settings(NAME)
        return shown_email(email, settings.addresses) if email is not None else None

    def _social(self, request: Request, event: str, account: SocialAccount, user: User | None = None) -> None:
        user_id = account.user_id if user is None else user.id
        self._record(request, Said(event, user_id, provider=account.provider, uid=account.uid))

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        proof = request.authentication[0]
        self._record(request, Said("user_logged_in", user.id, method=proof.method, provider=proof.provider))

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._record(request, Said("user_logged_out", user.id))

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        changes = {"email": [None, self._email(request, user.email)]}
        method = "socialaccount" if request.provider else "password"
        said = Said("user_signed_up", user.id, method=method, provider=request.provider, changes=changes)
        self._record(request, said)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._record(request, Said("password_set", user.id))

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._record(request, Said("password_changed", user.id))

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._record(request, Said("password_reset", user.id))

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        shown = self._email(request, email_address.email)
        changes = {"verified": [False, True], "email": [shown, shown]}
        self._record(request, Said("email_confirmed", email_address.user_id, changes=changes))

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        address = confirmation.email_address
        shown = self._email(request, address.email)
        said = Said(
            "email_confirmation_sent",
            address.user_id,
            changes={"email": [shown, shown]},
            data={"signup": signup},
        )
        self._record(request, said)

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
        self._record(request, Said("email_changed", user.id, changes=changes))

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        changes = {"email": [None, self._email(request, email_address.email)]}
        self._record(request, Said("email_added", user.id, changes=changes))

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        changes = {"email": [self._email(request, email_address.email), None]}
        self._record(request, Said("email_removed", user.id, changes=changes))

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
        self._record(request, Said("account_ready", user.id))

    @hookimpl
    def social_login_begun(self, request: Request, provider: str, process: str) -> None:
        user = request.user
        said = Said(
            "social_login_begun", user.id if user else None, provider=provider, data={"process": process}
        )
        self._record(request, said)

    @hookimpl
    def password_reset_requested(self, request: Request, user: User | None) -> None:
        self._record(request, Said("password_reset_requested", user.id if user else None))

    @hookimpl
    def session_ended(self, request: Request, session: Session, reason: str) -> None:
        if reason == "logout":  # user_logged_out is the record of it
            return
        data = {"session": session_ref(session.id)}
        self._record(request, Said("session_ended", session.user_id, reason=reason, data=data))

    @hookimpl
    def user_deactivated(self, request: Request, user: User) -> None:
        self._record(request, Said("user_deactivated", user.id))

    @hookimpl
    def user_reauthenticated(self, request: Request, user: User) -> None:
        self._record(request, Said("user_reauthenticated", user.id))

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception, user: User | None) -> None:
        fields = getattr(error, "fields", {})
        data = {name: fields[name] for name in ("reason", "plugin_code", "field") if fields.get(name)}
        if request.repeated > 1:
            data["repeated"] = request.repeated
        said = Said(
            "flow_refused",
            user.id if user else None,
            outcome="refused",
            reason=getattr(error, "code", type(error).__name__),
            flow=flow,
            provider=request.provider,
            plugin=fields.get("plugin"),
            data=data,
        )
        self._record(request, said)

    @hookimpl
    def host_started(self, host: Host) -> None:
        note_switch(host, host.plugin_settings(NAME))

    @hookimpl
    def register_settings(self) -> type[AuditSettings]:
        return AuditSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_audit.migrations")

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_audit.commands import audit

        return [audit]


plugin = AuditPlugin()
