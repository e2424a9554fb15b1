"""``authhost check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from authhost.base_errors import ConfigurationError, RequiredPluginMissing
from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import json_option

if TYPE_CHECKING:
    from authhost.cli.checks import Problem

LEVELS = ("error", "warning", "hint")


@click.command("check")
@json_option
@click.pass_obj
def check(lazy_host: LazyHost, as_json: bool) -> None:
    """Find settings that are unsafe, invalid or not suitable for production.

    Works without a database: a missing database is a finding, and the other
    checks still run. Plugins add findings. Exits with 1 if there is an error,
    with 0 if there are only warnings and hints.

    Examples:

      authhost check

      authhost --config production.toml check --json | jq -r .problem
    """
    found = sorted(_found(lazy_host), key=lambda each: LEVELS.index(each.level))
    rows = [each._asdict() for each in found]
    if not any(row["plugin"] for row in rows) and not as_json:
        for row in rows:
            del row["plugin"]
    show = lazy_host.console.error if as_json else lazy_host.console.print
    show(lazy_host.describe())
    lazy_host.console.print_rows(rows, as_json=as_json, empty="no problems found")
    if any(each.level == "error" for each in found):
        sys.exit(1)


def _found(lazy_host: LazyHost) -> list[Problem]:
    """Return all findings. If the host cannot be opened, run the checks that do not require it."""
    from authhost.cli.checks import environment_problems, name_problems, problems, settings_problems
    from authhost.pluginhost.discovery import installed

    found: list[Problem] = []
    try:
        lazy_host.settings()
    except ConfigurationError as error:
        found.append(_as_problem(error))
    try:
        settings = lazy_host.settings(any_secret=True)
    except ConfigurationError:
        return [*found, *environment_problems()]
    missing: list[str] = []
    for _ in range(len(settings.required_plugins) + 1):
        try:
            return [*found, *problems(lazy_host.plugins_only(not_required=missing))]
        except RequiredPluginMissing as error:  # the other checks do not need it
            found.append(_as_problem(error))
            missing.append(error.plugin)
        except ConfigurationError as error:
            found.append(_as_problem(error))
            break
    names = [name for name, _ in installed()]
    return [*found, *environment_problems(), *settings_problems(settings), *name_problems(settings, names)]


def _as_problem(error: ConfigurationError) -> Problem:
    """Return the error as a problem. Its message has the remedy after a semicolon."""
    from authhost.cli.checks import Problem

    problem, _, do = str(error).partition("; ")
    return Problem("error", problem, do or "correct it: the host does not start")
