"""The plugin: stores one row for each event, in the transaction of the flow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from authhost_hookspecs import (
    EmailAddress,
    EmailConfirmation,
    Health,
    Host,
    PluginTables,
    Request,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)
from sqlalchemy import func, select

from authhost_analytics.erasure import data_of_user, erase_user
from authhost_analytics.events import code_or_other, event_row, process_or_other
from authhost_analytics.periods import HOURS_A_DAY, hour_of
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.tables import event_table, metadata

NAME = "analytics"
OVERDUE_DAYS = 3
"""Days after ``keep_days`` from which a stored event causes a warning at the start of a host."""
log = logging.getLogger("authhost.analytics")


class AnalyticsPlugin:
    """Stores events. `authhost_analytics.rollup` aggregates them."""

    def _store(self, request: Request, event: str, user_id: UUID | None = None, **labels: Any) -> None:
        settings: AnalyticsSettings = request.plugin_settings(NAME)
        if settings.recording:
            request.insert(
                event_table, event_row(request.keyed_hashes, request.now, event, user_id, **labels)
            )

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        proof = request.authentication[0]
        self._store(
            request,
            "user_logged_in",
            user.id,
            joined=user.date_joined,
            provider=proof.provider,
            method=proof.method,
        )

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._store(request, "user_logged_out", user.id)

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        provider = request.provider
        method = "socialaccount" if provider else "password"
        joined = user.date_joined
        self._store(request, "user_signed_up", user.id, joined=joined, provider=provider, method=method)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._store(request, "password_set", user.id)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._store(request, "password_changed", user.id)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._store(request, "password_reset", user.id)

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        self._store(request, "email_confirmed", email_address.user_id)

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        flow = "signup" if signup else ""
        self._store(request, "email_confirmation_sent", confirmation.email_address.user_id, flow=flow)

    @hookimpl
    def email_changed(self, request: Request, user: User) -> None:
        self._store(request, "email_changed", user.id)

    @hookimpl
    def email_added(self, request: Request, user: User) -> None:
        self._store(request, "email_added", user.id)

    @hookimpl
    def email_removed(self, request: Request, user: User) -> None:
        self._store(request, "email_removed", user.id)

    @hookimpl
    def social_login_begun(self, request: Request, provider: str, process: str) -> None:
        self._store(request, "social_login_begun", flow=process_or_other(process), provider=provider)

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        flow = process_or_other(sociallogin.process)
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
        self._store(request, event, account.user_id, flow=flow, provider=account.provider)

    @hookimpl
    def account_ready(self, request: Request, user: User) -> None:
        self._store(request, "account_ready", user.id)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        """Erase the user's pseudonyms after the commit."""
        # It locks the row of the roll-up's lease. Within the transaction, all deletions would wait
        # for each other, and two that delete several accounts could deadlock.
        host = request.host
        request.on_commit(lambda: erase_user(host, user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> Mapping[str, Any]:
        return data_of_user(request, user.id)

    @hookimpl
    def flow_refused(self, request: Request, flow: str, error: Exception) -> None:
        # Without the user: a refused attempt need not come from the owner of the account.
        outcome = code_or_other(getattr(error, "code", None))
        self._store(
            request,
            "flow_refused",
            flow=code_or_other(flow),
            outcome=outcome,
            provider=request.provider,
            repeated=request.repeated,
        )

    @hookimpl(optionalhook=True)
    def authenticator_added(self, request: Request, user: User, authenticator: Any) -> None:
        """Published by authhost-mfa, like the next ones."""
        self._store(request, "authenticator_added", user.id, method=code_or_other(authenticator.kind))

    @hookimpl(optionalhook=True)
    def authenticator_removed(self, request: Request, user: User, authenticator: Any) -> None:
        self._store(request, "authenticator_removed", user.id, method=code_or_other(authenticator.kind))

    @hookimpl(optionalhook=True)
    def authenticator_changed(self, request: Request, user: User, authenticator: Any) -> None:
        self._store(request, "authenticator_changed", user.id, method=code_or_other(authenticator.kind))

    @hookimpl(optionalhook=True)
    def authenticator_reset(self, request: Request, user: User, authenticator: Any) -> None:
        self._store(request, "authenticator_reset", user.id, method=code_or_other(authenticator.kind))

    @hookimpl(optionalhook=True)
    def authenticator_used(self, request: Request, user: User, authenticator: Any) -> None:
        self._store(request, "authenticator_used", user.id, method=code_or_other(authenticator.kind))

    @hookimpl(optionalhook=True)
    def authentication_failed(self, request: Request, authenticator: Any) -> None:
        # Without the user, as in flow_refused.
        kind = code_or_other(authenticator.kind)
        self._store(request, "authentication_failed", outcome="wrong_code", method=kind)

    @hookimpl(optionalhook=True)
    def authentication_refused(self, request: Request, method: str, repeated: int) -> None:
        found = code_or_other(method)
        self._store(
            request, "authentication_refused", outcome="too_many_tries", method=found, repeated=repeated
        )

    @hookimpl(optionalhook=True)
    def second_factors_recovered(self, request: Request, user: User) -> None:
        self._store(request, "second_factors_recovered", user.id)

    @hookimpl
    def host_started(self, host: Host) -> None:
        """Log a warning if events are older than ``keep_days`` because the roll-up does not run."""
        settings: AnalyticsSettings = host.plugin_settings(NAME)
        with host.reader.connect() as connection:
            first = connection.execute(select(func.min(event_table.c.hour))).scalar()
        if (
            first is not None
            and first < hour_of(host.now) - (settings.keep_days + OVERDUE_DAYS) * HOURS_A_DAY
        ):
            log.warning("stored events are older than keep_days: run `authhost analytics roll-up` daily")

    @hookimpl
    def register_maintenance(self) -> list[Callable[[Host], str]]:
        from authhost_analytics.rollup import roll_up_events

        return [roll_up_events]

    @hookimpl
    def register_health(self) -> list[Callable[[Host], Iterable[Health]]]:
        from authhost_analytics.monitoring import roll_up_health

        return [roll_up_health]

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
