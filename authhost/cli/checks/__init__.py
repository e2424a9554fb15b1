"""``authhost check``: find settings that are unsafe, invalid or not suitable for production.

A check is a function in one of these tuples: `SETTINGS_CHECKS` require only the
settings, `HOST_CHECKS` a host with its plugins but without its database, and
`DATABASE_CHECKS` a database that is up to date. Plugins add checks with the hook
`register_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from authhost_hookspecs import Finding
from sqlalchemy.exc import DBAPIError

from authhost.cli.checks.blocks import check_blocks
from authhost.cli.checks.guards import check_login_guards
from authhost.cli.checks.host import (
    check_delivery,
    check_plugin_names,
    check_providers,
    check_rate_limits,
    check_refused_plugins,
    check_vetoes,
    name_problems,
)
from authhost.cli.checks.passwords import check_hash_library, check_stored_hashes
from authhost.cli.checks.problem import Problem
from authhost.cli.checks.settings import SETTINGS_CHECKS, environment_problems, settings_problems
from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.pluginhost.results import UnusableResult, function_name, usable
from authhost.store import migrate

if TYPE_CHECKING:
    from authhost.host import AuthHost

HOST_CHECKS: tuple[Callable[[AuthHost], Iterable[Problem]], ...] = (
    check_plugin_names,
    check_hash_library,
    check_refused_plugins,
    check_delivery,
    check_vetoes,
    check_providers,
    check_rate_limits,
)
DATABASE_CHECKS: tuple[Callable[[AuthHost], Iterable[Problem]], ...] = (
    check_stored_hashes,
    check_blocks,
    check_login_guards,
)


def problems(host: AuthHost) -> list[Problem]:
    """Return all findings about a host. Its database may be missing or out of date."""
    database = list(_check_database(host))
    if not database:
        host.plugins.load()
    return [
        *environment_problems(),
        *settings_problems(host.settings),
        *chain.from_iterable(check(host) for check in HOST_CHECKS),
        *database,
        *(() if database else chain.from_iterable(check(host) for check in DATABASE_CHECKS)),
        *_run_plugin_checks(host, database_ready=not database),
    ]


def _check_database(host: AuthHost) -> Iterator[Problem]:
    """Check that the database can be reached and is up to date. Otherwise no other check can read it."""
    try:
        found = migrate.current(host.reader, host.migrations)
    except ConfigurationError as error:
        yield Problem("error", "the database cannot be used", str(error))
    except DBAPIError as error:
        yield Problem("error", "the database cannot be used", " ".join(str(error.orig).split()))
    else:
        if outdated := [name for name, state in found.items() if not state.current]:
            yield Problem(
                "error",
                f"the database is not up to date ({', '.join(outdated)})",
                "run `authhost db upgrade`",
            )


def _run_plugin_checks(host: AuthHost, *, database_ready: bool) -> Iterator[Problem]:
    """Yield the findings of the plugins. If the database is not ready, a check may fail when it reads it."""
    for plugin, checks in host.registry.checks().items():
        for check in checks:
            try:
                for each in usable("register_checks", check(host), Finding):
                    yield Problem(each.level, each.problem, each.do, plugin)
            except UnusableResult as error:
                problem = f"the check {function_name(check)} of this plugin is wrong: {error}"
                yield Problem("error", problem, "correct the plugin, or block it", plugin)
            except PLUGIN_FAILURES as error:
                if database_ready:  # the message is not shown, since it may contain secrets
                    problem = f"a check of this plugin failed: {type(error).__name__}"
                    yield Problem("error", problem, "report it to its author, or block the plugin", plugin)


__all__ = [
    "DATABASE_CHECKS",
    "HOST_CHECKS",
    "SETTINGS_CHECKS",
    "Problem",
    "environment_problems",
    "name_problems",
    "problems",
    "settings_problems",
]
