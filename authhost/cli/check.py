"""``authhost check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from authhost.cli.operator import Operator
from authhost.cli.output import emit, json_option
from authhost.errors import ConfigurationError

if TYPE_CHECKING:
    from authhost.cli.checks import Problem

LEVELS = ("error", "warning", "hint")


@click.command("check")
@json_option
@click.pass_obj
def check(operator: Operator, as_json: bool) -> None:
    """Look for what is unsafe, impossible or wrong for production.

    Needs no database: one that is missing is a finding, and all else is looked
    at. Plugins add findings of their own. Exits 1 where there is an error, 0
    where there are warnings and hints alone.

    Examples:

      authhost check

      authhost --config production.toml check --json | jq -r .problem
    """
    found = sorted(_found(operator), key=lambda each: LEVELS.index(each.level))
    rows = [each._asdict() for each in found]
    if not any(row["plugin"] for row in rows) and not as_json:
        for row in rows:
            del row["plugin"]
    click.echo(operator.used(), err=as_json)
    emit(rows, as_json, "nothing was found")
    if any(each.level == "error" for each in found):
        sys.exit(1)


def _found(operator: Operator) -> list[Problem]:
    """All findings, as far as one can get."""
    from authhost.cli.checks import environment_problems, name_problems, problems, settings_problems
    from authhost.pluginhost.discovery import installed

    found: list[Problem] = []
    try:
        operator.settings()
    except ConfigurationError as error:
        found.append(_as_problem(error))
    try:
        settings = operator.settings(any_secret=True)
    except ConfigurationError:
        return [*found, *environment_problems()]
    try:
        return [*found, *problems(operator.plugins_only())]
    except ConfigurationError as error:
        names = [name for name, _ in installed()]
        rest = [*environment_problems(), *settings_problems(settings), *name_problems(settings, names)]
        return [*found, _as_problem(error), *rest]


def _as_problem(error: ConfigurationError) -> Problem:
    """The host does not start: what is wrong, and behind the semicolon what to do."""
    from authhost.cli.checks import Problem

    problem, _, do = str(error).partition("; ")
    return Problem("error", problem, do or "correct it; until then no host starts")
