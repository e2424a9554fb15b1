"""The hooks of the contract and their kinds, read from the specifications."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import authhost_hookspecs as contract
from authhost_hookspecs import StopFlow

_EXTENSIONS = contract.extensions
SPEC_MODULES = (
    contract.account,
    contract.socialaccount,
    _EXTENSIONS.delivery,
    _EXTENSIONS.vetoes,
    _EXTENSIONS.steps,
    _EXTENSIONS.rights,
    _EXTENSIONS.notifications,
    _EXTENSIONS.export,
    _EXTENSIONS.registrations,
    _EXTENSIONS.lifecycle,
)
SPEC_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for module in SPEC_MODULES
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__
}
"""The arguments of each hook."""
SIGNALS = frozenset(
    name
    for module in (contract.account, contract.socialaccount)
    for name, value in vars(module).items()
    if inspect.isfunction(value)
)
"""The fifteen documented signals of django-allauth."""
NOTIFICATIONS = SIGNALS | {
    "account_ready",
    "account_recovered",
    "factors_removed",
    "flow_refused",
    "impersonation_ended",
    "impersonation_started",
    "login_pending",
    "password_reset_requested",
    "plugin_blocked",
    "plugin_unblocked",
    "session_ended",
    "social_login_begun",
    "user_deactivated",
    "user_deleted",
    "password_removed",
    "password_reset_required",
    "user_reactivated",
    "user_reauthenticated",
}
"""Every implementation is called, and results are ignored."""
VETOES = frozenset({"before_signup", "before_login", "before_change", "check_password"})
"""An implementation can refuse the flow."""
STEPS = frozenset({"login_steps"})
"""Each implementation returns what a login still needs. A failing one refuses the flow."""
ANSWERS = frozenset({"is_administrator"})
"""Each implementation returns a bool. A failing one refuses what depends on it."""
EXPORTS = frozenset({"export_user"})
"""Each implementation returns what its plugin stores about a user."""
REMOVALS = frozenset({"remove_factors"})
"""Each implementation removes the factors of a user, and returns how many. A failing one ends it all."""
LIFECYCLE = frozenset({"host_started", "host_stopping"})
"""Called outside a unit of work."""
SECRET_ARGUMENTS = frozenset({"password"})
"""Arguments that traces do not show. Exceptions of vetoes that get one are not chained to the refusal."""
WRAPPABLE = NOTIFICATIONS | {"deliver_message"}
"""Hooks that accept ``@hookimpl(wrapper=True)``. Those that plugins publish accept it, too."""
RETURNS_ITERABLE = frozenset({"register_providers", "register_commands"})
"""Hooks whose result is iterated to its end, so that an implementation may be a generator function."""
STOPS: Mapping[str, tuple[type[StopFlow], ...]] = {"pre_social_login": (StopFlow,)}
"""The exceptions that implementations of a notification may raise on purpose."""


def is_notification(hook: str) -> bool:
    """Return whether every implementation of a hook is called: also true for hooks of plugins."""
    return hook in NOTIFICATIONS or hook not in SPEC_ARGUMENTS


def is_wrappable(hook: str) -> bool:
    """Return whether a hook accepts ``@hookimpl(wrapper=True)``."""
    return hook in WRAPPABLE or hook not in SPEC_ARGUMENTS
