"""Extension points: what a plugin may provide or decide. They are not signals of django-allauth."""

from authhost_hookspecs.extensions import (
    delivery,
    export,
    lifecycle,
    notifications,
    registrations,
    steps,
    vetoes,
)
from authhost_hookspecs.extensions.delivery import deliver_message
from authhost_hookspecs.extensions.export import export_user
from authhost_hookspecs.extensions.lifecycle import host_started, host_stopping
from authhost_hookspecs.extensions.notifications import (
    account_ready,
    flow_refused,
    login_pending,
    password_removed,
    password_reset_requested,
    password_reset_required,
    session_ended,
    social_login_begun,
    user_deactivated,
    user_deleted,
    user_reactivated,
    user_reauthenticated,
)
from authhost_hookspecs.extensions.registrations import (
    register_checks,
    register_commands,
    register_health,
    register_hookspecs,
    register_metrics,
    register_panels,
    register_providers,
    register_routes,
    register_settings,
    register_tables,
)
from authhost_hookspecs.extensions.steps import login_steps
from authhost_hookspecs.extensions.vetoes import before_change, before_login, before_signup, check_password

__all__ = [
    "account_ready",
    "before_change",
    "before_login",
    "before_signup",
    "check_password",
    "deliver_message",
    "delivery",
    "export",
    "export_user",
    "flow_refused",
    "host_started",
    "host_stopping",
    "lifecycle",
    "login_pending",
    "login_steps",
    "notifications",
    "password_removed",
    "password_reset_requested",
    "password_reset_required",
    "register_checks",
    "register_commands",
    "register_health",
    "register_hookspecs",
    "register_metrics",
    "register_panels",
    "register_providers",
    "register_routes",
    "register_settings",
    "register_tables",
    "registrations",
    "session_ended",
    "social_login_begun",
    "steps",
    "user_deactivated",
    "user_deleted",
    "user_reactivated",
    "user_reauthenticated",
    "vetoes",
]
