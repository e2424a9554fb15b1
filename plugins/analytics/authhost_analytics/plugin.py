"""One row for each event, in the transaction of the flow."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from authhost_hookspecs import (
    EmailAddress,
    EmailConfirmation,
    Host,
    PluginTables,
    Request,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)
from sqlalchemy import func, select

from authhost_analytics.events import event_row, known_process, word
from authhost_analytics.periods import HOURS_A_DAY, hour_of
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.tables import event_table, metadata

NAME = "analytics"
GRACE = 3
"""Days after which an event that should be gone is complained of."""
log = logging.getLogger("authhost.analytics")


class AnalyticsPlugin:
    """Appends events; `authhost_analytics.rolling` makes figures of them."""

    def _count(self, request: Request, event: str, user_id: UUID | None = None, **labels: Any) -> None:
        settings: AnalyticsSettings = request.plugin_settings(NAME)
        if settings.recording:
            request.insert(event_table, event_row(request.keyed_hash, request.now, event, user_id, **labels))

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        proof = request.authentication[0]
        self._count(
            request,
            "user_logged_in",
            user.id,
            joined=user.date_joined,
            provider=proof.provider,
            method=proof.method,
        )

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._count(request, "user_logged_out", user.id)

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        provider = request.provider
        method = "socialaccount" if provider else "password"
        joined = user.date_joined
        self._count(request, "user_signed_up", user.id, joined=joined, provider=provider, method=method)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._count(request, "password_set", user.id)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._count(request, "password_changed", user.id)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._count(request, "password_reset", user.id)

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        self._count(request, "email_confirmed", email_address.user_id)

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        flow = "signup" if signup else ""
        self._count(request, "email_confirmation_sent", confirmation.email_address.user_id, flow=flow)

    @hookimpl
    def email_changed(self, request: Request, user: User) -> None:
        self._count(request, "email_changed", user.id)

    @hookimpl
    def email_added(self, request: Request, user: User) -> None:
        self._count(request, "email_added", user.id)

    @hookimpl
    def email_removed(self, request: Request, user: User) -> None:
        self._count(request, "email_removed", user.id)

    @hookimpl
    def social_login_begun(self, request: Request, provider: str, process: str) -> None:
        self._count(request, "social_login_begun", flow=known_process(process), provider=provider)

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        flow = known_process(sociallogin.process)
        self._social(request, "pre_social_login", sociallogin.account, flow=flow)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_added", sociallogin.account)

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._social(request, "social_account_updated", sociallogin.account)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._social(request, "social_account_removed", socialaccount)

    def _social(self, request: Request, event: str, account: SocialAccount, *, flow: str = "") -> None:
        self._count(request, event, account.user_id, flow=flow, provider=account.provider)

    @hookimpl
    def account_ready(self, request: Request, user: User) -> None:
        self._count(request, "account_ready", user.id)

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception) -> None:
        # Not who: a refused attempt is nobody's doing.
        outcome = word(getattr(error, "code", None))
        self._count(
            request,
            "flow_refused",
            flow=word(flow),
            outcome=outcome,
            provider=request.provider,
            repeated=request.repeated,
        )

    @hookimpl
    def host_started(self, host: Host) -> None:
        """Say so where nobody rolls up: events would be kept for longer than was promised."""
        settings: AnalyticsSettings = host.plugin_settings(NAME)
        with host.reader.connect() as connection:
            first = connection.execute(select(func.min(event_table.c.hour))).scalar()
        if first is not None and first < hour_of(host.now) - (settings.keep_days + GRACE) * HOURS_A_DAY:
            log.warning("events are kept for longer than keep_days: run `authhost analytics roll-up` daily")

    @hookimpl
    def register_settings(self) -> type[AnalyticsSettings]:
        return AnalyticsSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_analytics.migrations")

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_analytics.commands import analytics

        return [analytics]


plugin = AnalyticsPlugin()
