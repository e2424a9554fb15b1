"""What several rules need: which functions run in flows, and which handlers raise again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost.pluginhost.hooks import ANSWERS, NOTIFICATIONS, REMOVALS, SPEC_ARGUMENTS, STEPS, VETOES
from authhost.testing.conformance.source import IN_WEB_REQUESTS, PluginSource, Reached, dotted

IN_FLOWS = NOTIFICATIONS | VETOES | STEPS | ANSWERS | REMOVALS | {"deliver_message"}
"""The hooks of the contract that flows call."""
OUTSIDE_FLOWS = frozenset(
    {
        "register_commands",
        "register_checks",
        "register_health",
        "register_keys",
        "register_maintenance",
        "register_metrics",
    }
)
"""Hooks whose functions run outside of flows, such as commands: they may print, exit and wait."""


def in_flows(source: PluginSource) -> Iterator[Reached]:
    return (each for each in source.reached if each.hook not in OUTSIDE_FLOWS)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises something, or passes the error on to a future."""
    return any(
        isinstance(node, ast.Raise)
        or (isinstance(node, ast.Call) and dotted(node.func).endswith((".set_exception", ".throw")))
        for statement in handler.body
        for node in ast.walk(statement)
    )


def runs_in_flows(hook: str) -> bool:
    """Whether flows or web requests run the functions of a hook in their unit of work.

    The hooks that other plugins publish are called in flows, too.
    """
    return hook in IN_FLOWS or hook in IN_WEB_REQUESTS or hook not in SPEC_ARGUMENTS
