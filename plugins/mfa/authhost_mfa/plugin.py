"""The plugin: its hooks, and what it registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from authhost_hookspecs import (
    AdminPanel,
    ApiRoute,
    Change,
    Finding,
    Host,
    LoginStep,
    Metric,
    PageRoute,
    Panel,
    PluginTables,
    Request,
    Section,
    User,
    hookimpl,
)

from authhost_mfa import deletion, trusted_browsers
from authhost_mfa.access import check_change
from authhost_mfa.hooks import PUBLISHED
from authhost_mfa.settings import MfaSettings
from authhost_mfa.steps import steps_of
from authhost_mfa.tables import SEALED, metadata
from authhost_mfa.values import NAME


def end_trust(request: Request, user: User) -> None:
    """Delete the trusted browsers of a guarded account.

    The others cost no query: the fingerprint ends their trust, since it changes with the password.
    """
    if NAME in user.login_guards:
        trusted_browsers.end_trust(request, user.id)


class MfaPlugin:
    """Second factors as a step of every login."""

    @hookimpl
    def login_steps(self, request: Request, user: User) -> list[LoginStep]:
        return steps_of(request, user)

    @hookimpl
    def before_change(self, request: Request, user: User, change: Change) -> None:
        check_change(request, user, change)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        end_trust(request, user)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        end_trust(request, user)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        end_trust(request, user)

    @hookimpl
    def password_removed(self, request: Request, user: User) -> None:
        end_trust(request, user)

    @hookimpl
    def account_recovered(self, request: Request, user: User) -> None:
        deletion.delete_after_recovery(request, user)

    @hookimpl
    def remove_factors(self, request: Request, user: User) -> int:
        return deletion.reset(request, user)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        deletion.delete_all(request, user.id)

    @hookimpl
    def export_user(self, request: Request, user: User) -> Mapping[str, Any]:
        from authhost_mfa.personal_data import data_of

        return data_of(request, user)

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_mfa.migrations", sealed=SEALED)

    @hookimpl
    def register_settings(self) -> type[MfaSettings]:
        return MfaSettings

    @hookimpl
    def register_hookspecs(self) -> list[Callable[..., None]]:
        return list(PUBLISHED)

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        from authhost_mfa.routes import routes

        return routes()

    @hookimpl
    def register_panels(self) -> list[Callable[[Request], Section | None] | Panel | AdminPanel]:
        from authhost_mfa.pages.administration import PANEL
        from authhost_mfa.pages.overview import panel
        from authhost_mfa.pages.passkey import login_panel
        from authhost_mfa.pages.signup import signup_panel
        from authhost_mfa.pages.verify import reauthenticate_panel

        return [
            panel,
            Panel("login", login_panel),
            Panel("signup", signup_panel),
            Panel("reauthenticate", reauthenticate_panel),
            PANEL,
        ]

    @hookimpl
    def register_checks(self) -> list[Callable[[Host], Iterable[Finding]]]:
        from authhost_mfa.monitoring import check_accounts, check_base_url, check_settings

        return [check_settings, check_base_url, check_accounts]

    @hookimpl
    def register_metrics(self) -> list[Callable[[Host], Iterable[Metric]]]:
        from authhost_mfa.monitoring import metrics

        return [metrics]

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_mfa.commands import mfa

        return [mfa]


plugin = MfaPlugin()
