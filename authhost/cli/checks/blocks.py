"""Check of the plugins that are blocked at run time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from authhost.cli.checks.problem import Problem

if TYPE_CHECKING:
    from authhost.host import AuthHost

LONG = timedelta(days=1)
"""A block is meant for the time until a plugin is repaired. The settings block one for good."""


def check_blocks(host: AuthHost) -> Iterator[Problem]:
    """Find plugins that have been blocked for long, and blocks that have no effect."""
    known = [record.name for record in host.registry.records]
    for name, block in host.plugins.blocked().items():
        unblock = f"`authhost plugins unblock {name}`"
        if name in host.settings.required_plugins:
            problem = f"plugin {name} is {block}; but it runs, since it is required"
            yield Problem("error", problem, f"run {unblock}, or remove it from required_plugins")
        elif name not in known:
            problem = f"plugin {name} is {block}; no plugin of that name is installed"
            yield Problem("hint", problem, f"run {unblock}, unless the application passes this plugin")
        elif host.now - block.since > LONG:
            do = f"repair it and run {unblock}, or add it to blocked_plugins and run {unblock}"
            yield Problem("warning", f"plugin {name} is {block}", do)
        else:
            yield Problem("hint", f"plugin {name} is {block}", f"when it is repaired, run {unblock}")
