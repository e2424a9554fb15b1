"""Counts events by day. No address, name, IP address or uid is stored."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import PluginTables, Request, SocialAccount, SocialLogin, hookimpl

from authhost_analytics.tables import event_table, metadata


class AnalyticsPlugin:
    """One insert for each event."""

    def _count(
        self, request: Request, event: str, provider: str | None = None, outcome: str = "success"
    ) -> None:
        request.insert(
            event_table,
            {
                "id": request.new_id(),
                "day": request.now.date(),
                "event": event,
                "outcome": outcome,
                "provider": provider,
            },
        )

    @hookimpl
    def user_logged_in(self, request: Request) -> None:
        self._count(request, "user_logged_in", request.authentication[0].provider)

    @hookimpl
    def user_logged_out(self, request: Request) -> None:
        self._count(request, "user_logged_out")

    @hookimpl
    def user_signed_up(self, request: Request) -> None:
        self._count(request, "user_signed_up")

    @hookimpl
    def password_set(self, request: Request) -> None:
        self._count(request, "password_set")

    @hookimpl
    def password_changed(self, request: Request) -> None:
        self._count(request, "password_changed")

    @hookimpl
    def password_reset(self, request: Request) -> None:
        self._count(request, "password_reset")

    @hookimpl
    def email_confirmed(self, request: Request) -> None:
        self._count(request, "email_confirmed")

    @hookimpl
    def email_confirmation_sent(self, request: Request) -> None:
        self._count(request, "email_confirmation_sent")

    @hookimpl
    def email_changed(self, request: Request) -> None:
        self._count(request, "email_changed")

    @hookimpl
    def email_added(self, request: Request) -> None:
        self._count(request, "email_added")

    @hookimpl
    def email_removed(self, request: Request) -> None:
        self._count(request, "email_removed")

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        self._count(request, "pre_social_login", sociallogin.account.provider)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._count(request, "social_account_added", sociallogin.account.provider)

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._count(request, "social_account_updated", sociallogin.account.provider)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._count(request, "social_account_removed", socialaccount.provider)

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception) -> None:
        self._count(request, flow, outcome=getattr(error, "code", "refused"))

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_analytics.migrations")

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_analytics.commands import analytics

        return [analytics]


plugin = AnalyticsPlugin()
