"""Stores each documented signal in the outbox, in the transaction of its flow."""

from __future__ import annotations

import json
from typing import Any

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
from sqlalchemy import delete

from authhost_webhook.delivery import deliver_due
from authhost_webhook.settings import WebhookSettings
from authhost_webhook.tables import event_table, metadata

NAME = "webhook"


class Webhook:
    """Stores identifiers and times, and e-mail addresses only if the setting ``addresses`` is on."""

    def _record(self, request: Request, signal: str, addresses: dict[str, str | None], **ids: object) -> None:
        settings: WebhookSettings = request.plugin_settings(NAME)
        if not settings.url:
            return
        event_id, now = request.new_id(), request.now
        event = {
            "id": event_id,
            "type": signal,
            "time": now.isoformat(),
            "request": request.id,
            "data": {**ids, **(addresses if settings.addresses else {})},
        }
        body = json.dumps(event, default=str)
        request.insert(event_table, {"id": event_id, "body": body, "attempts": 0, "next_attempt_at": now})
        local = request.local(NAME)
        if settings.background and not local:
            local["delivers"] = True  # one job delivers all events of this unit of work
            request.in_background(deliver_due, request.host, settings)

    def _user(self, request: Request, signal: str, user: User) -> None:
        self._record(request, signal, {"email": user.email}, user=user.id)

    def _address(self, request: Request, signal: str, address: EmailAddress, **more: object) -> None:
        ids = {"user": address.user_id, "email_address": address.id, **more}
        self._record(request, signal, {"email": address.email}, **ids)

    def _social(
        self, request: Request, signal: str, account: SocialAccount, user: User | None, **more: object
    ) -> None:
        user_id = user.id if user is not None else account.user_id
        ids = {"user": user_id, "social_account": account.id, "provider": account.provider, **more}
        self._record(request, signal, {}, **ids)

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        self._user(request, "user_logged_in", user)

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._user(request, "user_logged_out", user)

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        self._user(request, "user_signed_up", user)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._user(request, "password_set", user)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._user(request, "password_changed", user)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._user(request, "password_reset", user)

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        self._address(request, "email_confirmed", email_address)

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        about = {"confirmation": confirmation.id, "expires": confirmation.expires.isoformat()}
        self._address(request, "email_confirmation_sent", confirmation.email_address, signup=signup, **about)

    @hookimpl
    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        former = from_email_address.id if from_email_address is not None else None
        addresses = {
            "from_email": from_email_address.email if from_email_address is not None else None,
            "to_email": to_email_address.email,
        }
        ids = {"from_email_address": former, "to_email_address": to_email_address.id}
        self._record(request, "email_changed", addresses, user=user.id, **ids)

    @hookimpl
    def email_added(self, request: Request, email_address: EmailAddress) -> None:
        self._address(request, "email_added", email_address)

    @hookimpl
    def email_removed(self, request: Request, email_address: EmailAddress) -> None:
        self._address(request, "email_removed", email_address)

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        account, process = sociallogin.account, sociallogin.process
        self._social(request, "pre_social_login", account, sociallogin.user, process=process)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_added", sociallogin.account, sociallogin.user)

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_updated", sociallogin.account, sociallogin.user)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._social(request, "social_account_removed", socialaccount, None)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        # Events that wait contain identifiers of the user.
        of_user = event_table.c.body.contains(str(user.id))
        request.db.execute(delete(event_table).where(of_user))

    @hookimpl
    def register_settings(self) -> type[WebhookSettings]:
        return WebhookSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_webhook.migrations")

    @hookimpl
    def register_commands(self) -> list[Any]:
        # Import here, since a web process does not need click.
        from authhost_webhook.commands import webhook

        return [webhook]


plugin = Webhook()
