"""Check of the accounts whose logins need a plugin that is not loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from authhost.cli.checks.problem import Problem
from authhost.store import statements

if TYPE_CHECKING:
    from authhost.host import AuthHost


def check_login_guards(host: AuthHost) -> Iterator[Problem]:
    """Find accounts that nobody can log in to, or whose steps are or would be skipped without a plugin."""
    accounts = guarded_accounts(host)
    for name in sorted(accounts.keys() & host.services.login_guards & {*host.settings.login_without_plugins}):
        yield Problem(
            "warning",
            f"login_without_plugins names {name}, which is loaded: if it cannot be loaded once, "
            f"{accounts[name]} accounts are open without it",
            f"remove {name} from login_without_plugins",
        )
    for name in sorted(accounts.keys() - host.services.login_guards):
        if name in host.settings.login_without_plugins:
            yield Problem(
                "warning",
                f"{accounts[name]} accounts need the plugin {name} to log in, and are open without it: "
                "login_without_plugins names it",
                f"install {name}, or reset what it guards before you remove it",
            )
        elif name in host.services.blocked:
            yield Problem(
                "error",
                f"nobody can log in to {accounts[name]} accounts: they need {name}, which is blocked",
                f"repair {name}, then run `authhost plugins unblock {name}`",
            )
        else:
            yield Problem(
                "error",
                f"nobody can log in to {accounts[name]} accounts: they need the plugin {name}, "
                "which is not loaded",
                f"install or repair {name}; if it is gone for good, add it to login_without_plugins",
            )


def guarded_accounts(host: AuthHost) -> Counter[str]:
    """Return how many accounts each plugin guards."""
    accounts: Counter[str] = Counter()
    for guards, number in host.services.database.read(statements.GUARDED_USERS, {}):
        accounts.update(dict.fromkeys(guards, number))
    return accounts
