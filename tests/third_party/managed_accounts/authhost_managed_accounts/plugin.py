"""Refuses changes of managed accounts by their users, and lets the company manage all accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authhost_hookspecs import Change, Refused, Request, User, hookimpl

NAME = "managed"
REFUSED = frozenset(
    {
        "add_email",
        "make_primary",
        "remove_email",
        "set_password",
        "change_password",
        "reset_password",
        "connect",
        "disconnect",
        "deactivate",
    }
)
"""The changes that the user of a managed account cannot make. Kinds of later contracts are allowed."""


@dataclass(frozen=True)
class ManagedSettings:
    """``domains`` and ``staff`` are domains, separated by commas."""

    domains: str = ""
    staff: str = ""

    def manages(self, user: User) -> bool:
        """Whether the primary address is verified and has one of the domains."""
        return _domain_of(user) in _listed(self.domains)

    def is_staff(self, user: User) -> bool:
        """Whether the primary address is verified and has one of the domains of the staff."""
        return _domain_of(user) in _listed(self.staff)


def _domain_of(user: User) -> str | None:
    return user.email.rpartition("@")[2] if user.email is not None and user.email_verified else None


def _listed(domains: str) -> set[str]:
    return {each.strip().lower() for each in domains.split(",")} - {""}


class ManagedAccounts:
    """Compares the kind of each change with `REFUSED`."""

    @hookimpl
    def before_change(self, request: Request, user: User, change: Change) -> None:
        settings: ManagedSettings = request.plugin_settings(NAME)
        if change.kind in REFUSED and not change.administrative and settings.manages(user):
            raise Refused(
                "managed_account", "Your company manages this account. Please ask its administrator."
            )

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        settings: ManagedSettings = request.plugin_settings(NAME)
        through_provider = request.authentication[0].method == "socialaccount"
        if through_provider and user.has_usable_password and settings.manages(user):
            request.accounts.remove_password(user.id)

    @hookimpl
    def is_administrator(self, request: Request, user: User) -> bool:
        settings: ManagedSettings = request.plugin_settings(NAME)
        return settings.is_staff(user)

    @hookimpl
    def register_settings(self) -> type[ManagedSettings]:
        return ManagedSettings

    @hookimpl
    def register_commands(self) -> list[Any]:
        from authhost_managed_accounts.commands import managed

        return [managed]


plugin = ManagedAccounts()
