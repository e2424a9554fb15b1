"""Takes the messages of the core, and tells people of changes to their account."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import (
    EmailAddress,
    Host,
    Message,
    PluginTables,
    Request,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)

from authhost_email.outbox import Outbox, Worker
from authhost_email.settings import EmailSettings
from authhost_email.tables import metadata, outbox_table


class EmailPlugin:
    """An outbox row in the flow's transaction; delivery after the commit."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}

    def _queue(self, request: Request, kind: str, recipient: str | None, **context: str | None) -> None:
        if recipient is None:
            return
        now = request.now
        request.insert(
            outbox_table,
            {
                "id": request.new_id(),
                "created_at": now,
                "kind": kind,
                "recipient": recipient,
                "context": {"site_name": request.settings.site_name, **context},
                "status": "pending",
                "attempts": 0,
                "next_attempt_at": now,
            },
        )
        request.on_commit(self._wake)

    def _wake(self) -> None:
        for worker in list(self._workers.values()):
            worker.wake()

    @hookimpl
    def deliver_message(self, request: Request, message: Message) -> bool:
        self._queue(request, message.kind, message.recipient, link=message.link)
        return True

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._queue(request, "password_set", user.email)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._queue(request, "password_changed", user.email)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._queue(request, "password_was_reset", user.email)

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._queue(request, "email_added", user.email, address=email_address.email)

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._queue(request, "email_removed", user.email, address=email_address.email)

    @hookimpl
    def email_changed(
        self,
        request: Request,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        if from_email_address is None:
            return
        for each in (from_email_address, to_email_address):
            if each.verified:
                self._queue(request, "email_changed", each.email, address=to_email_address.email)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        user, account = sociallogin.user, sociallogin.account
        if user is not None:
            self._queue(request, "social_account_added", user.email, provider=account.provider)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        user = request.user
        if user is not None and user.id == socialaccount.user_id:
            self._queue(request, "social_account_removed", user.email, provider=socialaccount.provider)

    @hookimpl
    def host_started(self, host: Host) -> None:
        settings: EmailSettings = host.plugin_settings("email")
        if settings.delivery == "background":
            self._workers[id(host)] = Worker(Outbox(host.engine, settings))

    @hookimpl
    def host_stopping(self, host: Host) -> None:
        worker = self._workers.pop(id(host), None)
        if worker is not None:
            worker.stop()

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_email.migrations")

    @hookimpl
    def register_settings(self) -> type[EmailSettings]:
        return EmailSettings

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_email.commands import email

        return [email]


plugin = EmailPlugin()
