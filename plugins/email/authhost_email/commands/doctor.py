"""``authhost email doctor``."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING

import click
from authhost_hookspecs import CommandContext, Console

from authhost_email.commands.options import (
    bare_address_callback,
    host_without_database,
    json_option,
    settings_of,
)

if TYPE_CHECKING:
    from authhost_email.doctor import Result

COLORS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": None}
LEVEL_WIDTH, CHECK_WIDTH = 9, 12


@click.command()
@click.option(
    "--to", metavar="ADDRESS", callback=bare_address_callback, help="Send a test message to this address."
)
@json_option
@click.pass_obj
def doctor(context: CommandContext, /, to: str | None, as_json: bool) -> None:
    """Find out why messages do not arrive.

    Checks the settings, the DNS records of the sender's domain, the mail server (name,
    connection, TLS, login, sender), and the outbox. Each line is ok, a warning, an
    error, or skipped, with the remedy. Without --to no message is sent. Works without
    a database, too: then the outbox is not checked.

    Exits with 0 if there is no error (there may be warnings), with 1 if there is one,
    and with 2 for an invalid command line or configuration.

    Examples:

      authhost email doctor

      authhost email doctor --to me@example.org

      authhost email doctor --json | jq -r 'select(.level == "error").remedy'
    """
    from authhost_email.doctor import examine

    host = host_without_database(context)
    levels: Counter[str] = Counter()
    for result in examine(host, settings_of(host), to):
        levels[result.level] += 1
        if as_json:
            context.console.print_rows([asdict(result)], as_json=True)
        else:
            _print(context.console, result)
    if not as_json:
        context.console.print(f"errors: {levels['error']}, warnings: {levels['warning']}")
    raise SystemExit(1 if levels["error"] else 0)


def _print(console: Console, result: Result) -> None:
    """Print one result. On a terminal, long lines continue below the text; no word is cut."""
    indent = LEVEL_WIDTH + CHECK_WIDTH
    lines = _wrap(result.found, indent)
    level = click.style(result.level.ljust(LEVEL_WIDTH), fg=COLORS[result.level])
    console.print(f"{level}{result.check.ljust(CHECK_WIDTH)}{lines[0]}")
    for line in (*lines[1:], *(_wrap(f"-> {result.remedy}", indent) if result.remedy else ())):
        console.print(" " * indent + line)


def _wrap(text: str, indent: int) -> list[str]:
    if not sys.stdout.isatty():
        return [text]
    width = max(20, shutil.get_terminal_size().columns - indent)
    return wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
