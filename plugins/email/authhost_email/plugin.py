"""The plugin: queues the core's messages, and notices about changes to an account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from authhost_hookspecs import (
    AdminPanel,
    EmailAddress,
    Finding,
    Health,
    Host,
    Message,
    Metric,
    PluginTables,
    Request,
    Session,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)

from authhost_email.devices import NEW_DEVICE
from authhost_email.hooks import email_delivery_failed
from authhost_email.languages import negotiate_language
from authhost_email.outbox import Outbox
from authhost_email.personal_data import data_of, delete_data_of
from authhost_email.rendering import PLUGIN_KIND, pack_content
from authhost_email.settings import EmailSettings
from authhost_email.tables import KIND_LENGTH, SEALED, SEALED_LENGTH, link_purpose, metadata, outbox_table
from authhost_email.worker import Worker, deliver

NAME = "email"
RECOVERY_CODES = "recovery_codes"
"""The kind of authenticator that all recovery codes of an account are, for authhost-mfa."""


class EmailPlugin:
    """Writes messages to the outbox in the flow's transaction. They are delivered after the commit."""

    def __init__(self) -> None:
        self._outboxes: dict[int, Outbox] = {}
        self._workers: dict[int, Worker] = {}

    def _queue(
        self,
        request: Request,
        kind: str,
        recipient: str | None,
        *,
        verified: bool = False,
        status: str = "pending",
        name: str | None = None,
        link: str | None = None,
        content: str | None = None,
        expires: datetime | None = None,
        user_id: UUID | None = None,
        address: str | None = None,
        provider: str | None = None,
        count: int | None = None,
        by_user: bool = True,
    ) -> None:
        """Queue one message, due now. ``verified`` concerns the recipient, see `rendering.render`.

        The network and browser of an administrator (``by_user=False``) are not the user's business.
        The link is stored encrypted, and so is ``content``, of a message of another plugin.
        """
        if recipient is None:
            return
        settings: EmailSettings = request.plugin_settings(NAME)
        now, secret = request.now, content or link
        identifier = request.new_id()
        sealed = request.seal(secret, link_purpose(identifier, recipient)) if secret else None
        if sealed is not None and len(sealed) > SEALED_LENGTH:
            raise ValueError("the message is too long when encrypted, because of its quotes and line breaks")
        context = {
            "site_name": request.settings.site_name,
            "time": now.isoformat(),
            "ip_address": request.ip_address if by_user else None,
            "verified": verified,
            "name": name,
            "address": address,
            "provider": provider,
            "count": count,
            "user_agent": (request.user_agent or None) if by_user else None,
            "expires": expires.isoformat() if expires else None,
        }
        row = {
            "id": identifier,
            "created_at": now,
            "kind": kind,
            "recipient": recipient,
            "language": negotiate_language(request.language, settings.language),
            "context": context,
            "sealed_link": sealed,
            "expires_at": expires,
            "user_id": user_id,
            "status": status,
            "attempts": 0,
            "next_attempt_at": now,
        }
        request.insert(outbox_table, row)
        # Few candidates become a message, so a worker is not woken. It finds them with its next poll.
        request.on_commit(self._wake_workers if status == "pending" else self._deliver_inline)

    def _notify_user(
        self,
        request: Request,
        kind: str,
        user: User,
        *,
        address: str | None = None,
        provider: str | None = None,
    ) -> None:
        self._queue(
            request,
            kind,
            user.email,
            verified=user.email_verified,
            name=user.username,
            user_id=user.id,
            address=address,
            provider=provider,
        )

    def _queue_of_plugin(self, request: Request, message: Message) -> None:
        """Queue a message of another plugin. To a user who has not confirmed the address, few are sent."""
        kind = f"{PLUGIN_KIND}:{message.plugin}" if message.plugin else PLUGIN_KIND
        verified = message.user_id is None or request.user_by_email(message.recipient) is not None
        self._queue(
            request,
            kind[:KIND_LENGTH],
            message.recipient,
            verified=verified,
            content=pack_content(message.subject or "", message.text or "", message.html),
            expires=message.expires,
            user_id=message.user_id,
        )

    def _wake_workers(self) -> None:
        for worker in list(self._workers.values()):
            worker.wake()
        self._deliver_inline()

    def _deliver_inline(self) -> None:
        for outbox in list(self._outboxes.values()):
            deliver(outbox)

    @hookimpl
    def deliver_message(self, request: Request, message: Message) -> bool:
        settings: EmailSettings = request.plugin_settings(NAME)
        if message.link is not None and not _is_allowed_link(message.link, request, settings):
            raise ValueError(
                f"{message.kind} has a link to a host that is not in link_hosts under [plugins.email]"
            )
        if message.kind == PLUGIN_KIND:
            self._queue_of_plugin(request, message)
            return True
        self._queue(
            request,
            message.kind,
            message.recipient,
            link=message.link,
            expires=message.expires,
            user_id=message.user_id,
        )
        return True

    @hookimpl
    def account_ready(self, request: Request, user: User) -> None:
        self._notify_user(request, "welcome", user)

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        settings: EmailSettings = request.plugin_settings(NAME)
        if settings.new_device_notices and user.email is not None:
            self._queue(
                request,
                NEW_DEVICE,
                user.email,
                verified=user.email_verified,
                status="candidate",
                name=user.username,
                user_id=user.id,
            )

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._notify_user(request, "password_set", user)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._notify_user(request, "password_changed", user)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._notify_user(request, "password_was_reset", user)

    @hookimpl
    def password_removed(self, request: Request, user: User) -> None:
        self._notify_user(request, "password_removed", user)

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._notify_user(request, "email_added", user, address=email_address.email)

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        """Notify the primary address, and the removed one, whose owner may not have removed it."""
        removed = email_address.email
        self._notify_user(request, "email_removed", user, address=removed)
        if email_address.verified and removed != user.email:
            self._queue(
                request,
                "email_removed",
                removed,
                verified=True,
                name=user.username,
                user_id=user.id,
                address=removed,
            )

    @hookimpl
    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        if from_email_address is None:
            return
        for each in (from_email_address, to_email_address):
            if each.verified:
                self._queue(
                    request,
                    "email_changed",
                    each.email,
                    verified=True,
                    name=user.username,
                    user_id=user.id,
                    address=to_email_address.email,
                )

    @hookimpl
    def impersonation_started(self, request: Request, user: User, session: Session) -> None:
        settings: EmailSettings = request.plugin_settings(NAME)
        if settings.impersonation_notice:
            self._queue(
                request,
                "impersonation",
                user.email,
                verified=user.email_verified,
                name=user.username,
                user_id=user.id,
                by_user=False,
            )

    @hookimpl
    def user_deactivated(self, request: Request, user: User) -> None:
        self._notify_user(request, "account_closed", user)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        delete_data_of(request, user)

    @hookimpl
    def export_user(self, request: Request, user: User) -> Mapping[str, Any]:
        return data_of(request, user)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        user, account = sociallogin.user, sociallogin.account
        if user is not None:
            self._notify_user(request, "social_account_added", user, provider=account.provider)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        user = request.user
        if user is not None and user.id == socialaccount.user_id:
            self._notify_user(request, "social_account_removed", user, provider=socialaccount.provider)

    def _notify_all(self, request: Request, kind: str, user: User, *, count: int | None = None) -> None:
        """Notify all verified addresses, since whoever changes a factor may have one of the mailboxes."""
        account = request.account(user.id)
        for each in account.email_addresses if account is not None else ():
            if each.verified:
                self._queue(
                    request, kind, each.email, verified=True, name=user.username, user_id=user.id, count=count
                )

    @hookimpl(optionalhook=True)
    def authenticator_added(self, request: Request, user: User, authenticator: Any) -> None:
        """Published by authhost-mfa, like the next ones. Recovery codes come with the first factor."""
        if authenticator.kind != RECOVERY_CODES:
            second = authenticator.second_factor
            self._notify_all(request, "authenticator_added" if second else "passkey_added", user)

    @hookimpl(optionalhook=True)
    def authenticator_removed(self, request: Request, user: User, authenticator: Any) -> None:
        """A reset by an administrator has a notice of its own."""
        by_user = request.user is not None and request.user.id == user.id
        if by_user and authenticator.kind != RECOVERY_CODES:
            second = authenticator.second_factor
            self._notify_all(request, "authenticator_removed" if second else "passkey_removed", user)

    @hookimpl(optionalhook=True)
    def authenticator_changed(self, request: Request, user: User, authenticator: Any) -> None:
        """A passkey has become a second factor, or no longer is one."""
        second = authenticator.second_factor
        self._notify_all(request, "authenticator_added" if second else "authenticator_removed", user)

    @hookimpl(optionalhook=True)
    def authenticator_reset(self, request: Request, user: User) -> None:
        self._notify_all(request, "recovery_codes_replaced", user)

    @hookimpl(optionalhook=True)
    def authenticator_used(self, request: Request, user: User, authenticator: Any) -> None:
        if authenticator.kind == RECOVERY_CODES:
            self._notify_all(request, "recovery_code_used", user, count=authenticator.remaining or 0)

    @hookimpl
    def factors_removed(self, request: Request, user: User) -> None:
        self._notify_all(request, "factors_removed", user)

    @hookimpl(optionalhook=True)
    def second_factors_recovered(self, request: Request, user: User) -> None:
        self._notify_all(request, "second_factors_recovered", user)

    @hookimpl
    def host_started(self, host: Host) -> None:
        settings: EmailSettings = host.plugin_settings(NAME)
        if settings.delivery == "background":
            self._workers[id(host)] = Worker(Outbox(host, settings))
        elif settings.delivery == "inline":
            self._outboxes[id(host)] = Outbox(host, settings)

    @hookimpl
    def host_stopping(self, host: Host) -> None:
        self._outboxes.pop(id(host), None)
        worker = self._workers.pop(id(host), None)
        if worker is not None:
            worker.stop()

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_email.migrations", sealed=SEALED)

    @hookimpl
    def register_settings(self) -> type[EmailSettings]:
        return EmailSettings

    @hookimpl
    def register_hookspecs(self) -> list[Callable[..., None]]:
        return [email_delivery_failed]

    @hookimpl
    def register_checks(self) -> list[Callable[[Host], Iterable[Finding]]]:
        from authhost_email.checks import check_outbox, check_settings

        return [check_settings, check_outbox]

    @hookimpl
    def register_maintenance(self) -> list[Callable[[Host], str]]:
        from authhost_email.outbox import clean_outbox

        return [clean_outbox]

    @hookimpl
    def register_health(self) -> list[Callable[[Host], Iterable[Health]]]:
        from authhost_email.monitoring import outbox_health

        return [outbox_health, self._worker_health]

    def _worker_health(self, host: Host) -> Iterable[Health]:
        """Yield whether the worker thread of this process is alive, if it has one."""
        worker = self._workers.get(id(host))
        if worker is not None and worker.is_alive():
            yield Health("worker", "ok", "its thread is alive")
        elif worker is not None:
            yield Health("worker", "failed", "its thread has ended; restart the application")

    @hookimpl
    def register_metrics(self) -> list[Callable[[Host], Iterable[Metric]]]:
        from authhost_email.monitoring import outbox_metrics

        return [outbox_metrics]

    @hookimpl
    def register_panels(self) -> list[AdminPanel]:
        from authhost_email.administration import PANEL

        return [PANEL]

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_email.commands import email

        return [email]


def _is_allowed_link(link: str, request: Request, settings: EmailSettings) -> bool:
    """Return whether a link leads to the site, or to a host of the setting ``link_hosts``."""
    parts = urlsplit(link)
    allowed = {each.strip().lower() for each in settings.link_hosts.split(",") if each.strip()}
    return parts.scheme in ("http", "https") and (
        parts.netloc == urlsplit(request.settings.base_url).netloc or parts.netloc.lower() in allowed
    )


plugin = EmailPlugin()
