"""Rules for login steps: an action completes each step, and the hook that asks changes no login."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost_hookspecs import ApiRoute

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

COMPLETES = "complete_step"
CHANGES = frozenset({COMPLETES, "guard", "log_in", "reauthenticate", "unguard"})
"""The methods of ``request.logins`` that change a login or an account."""


def never_completed(source: PluginSource) -> Iterator[Fault]:
    """Find steps that no action completes: nobody who needs them can log in."""
    actions: dict[str, list[object]] = {}
    for route in source.routes():
        if route.step:
            run = route.run if isinstance(route, ApiRoute) else route.action
            actions.setdefault(route.step, []).extend([] if run is None else [run])
    for step, functions in actions.items():
        reached = [each for function in functions for each in source.reached_from(function)]
        if functions and not reached:
            continue  # it has no source
        if not any(_completes(each) for each in reached):
            yield Fault(
                f"no action of the step {step} calls request.logins.complete_step; nobody can log in",
                "register_routes",
                min((each.at(each.node) for each in reached), default=None),
            )


def _completes(reached: Reached) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == COMPLETES for each in own_nodes(reached.node))


def changes_while_asked(source: PluginSource) -> Iterator[Fault]:
    """Find changes of a login or an account in ``login_steps``, whose writes are undone."""
    for reached in source.reached:
        if reached.hook != "login_steps":
            continue
        for node in own_nodes(reached.node):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CHANGES
                and dotted(node.func.value).rpartition(".")[2] == "logins"
            ):
                yield Fault(
                    f"login_steps calls request.logins.{node.func.attr}, but what it writes is undone; "
                    "call it in the action or the hook in which the account changes",
                    "login_steps",
                    reached.at(node),
                )
