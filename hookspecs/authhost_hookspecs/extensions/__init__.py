"""Extension points: what a plugin may provide or decide. They are not signals of django-allauth."""

from authhost_hookspecs.extensions import delivery, lifecycle, notifications, registrations, vetoes
from authhost_hookspecs.extensions.delivery import deliver_message
from authhost_hookspecs.extensions.lifecycle import host_started, host_stopping
from authhost_hookspecs.extensions.notifications import (
    account_ready,
    flow_refused,
    password_reset_requested,
    session_ended,
    social_login_begun,
    user_deactivated,
    user_reauthenticated,
)
from authhost_hookspecs.extensions.registrations import (
    register_checks,
    register_commands,
    register_providers,
    register_settings,
    register_tables,
)
from authhost_hookspecs.extensions.vetoes import before_login, before_signup, check_password

__all__ = [
    "account_ready",
    "before_login",
    "before_signup",
    "check_password",
    "deliver_message",
    "delivery",
    "flow_refused",
    "host_started",
    "host_stopping",
    "lifecycle",
    "notifications",
    "password_reset_requested",
    "register_checks",
    "register_commands",
    "register_providers",
    "register_settings",
    "register_tables",
    "registrations",
    "session_ended",
    "social_login_begun",
    "user_deactivated",
    "user_reauthenticated",
    "vetoes",
]
