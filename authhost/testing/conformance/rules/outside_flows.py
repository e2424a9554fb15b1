"""Rules about what operators see: the errors of settings, and commands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

SECRET_WORDS = frozenset({"token", "secret", "password", "key", "credential", "credentials", "dsn"})


def secrets_in_errors(source: PluginSource) -> Iterator[Fault]:
    """A settings class whose error shows a secret, in the operator's terminal and logs."""
    for reached in source.reached:
        if reached.hook != "register_settings" or not isinstance(reached.owner, type):
            continue
        hidden = _secret_fields(reached.owner)
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            for shown in _shown_values(node.exc):
                if shown.removeprefix("self.") in hidden:
                    yield Fault(
                        f"its error contains the value of {shown.removeprefix('self.')}, a secret that "
                        "terminals and logs would show; say what is wrong without the value",
                        reached.hook,
                        reached.at(node),
                    )


def _secret_fields(kind: type) -> set[str]:
    """The fields that are hidden in the repr, and texts whose names say that they are secret."""
    found = set()
    for each in fields(kind) if is_dataclass(kind) else ():
        is_text = any(word in str(each.type) for word in ("str", "bytes"))
        named = each.name.lower().rpartition("_")[2] in SECRET_WORDS and "public" not in each.name
        if not each.repr or (is_text and named):
            found.add(each.name)
    return found


def _shown_values(node: ast.expr) -> Iterator[str]:
    """The attributes whose whole value a text contains."""
    for each in ast.walk(node):
        values: list[ast.expr] = []
        if isinstance(each, ast.FormattedValue):
            values = [each.value]
        elif each is node and isinstance(each, ast.Call):
            values = list(each.args)
        elif isinstance(each, ast.BinOp):
            values = getattr(each.right, "elts", [each.right])
        for value in values:
            inner = value.args[0] if isinstance(value, ast.Call) and value.args else value
            if isinstance(value, ast.Call) and dotted(value.func) not in ("repr", "str"):
                continue
            if isinstance(inner, ast.Attribute):
                yield dotted(inner)


def state_of_started_hosts(source: PluginSource) -> Iterator[Fault]:
    """A command that uses what only ``host_started`` creates, which commands do not call."""
    created: set[str] = set()
    filled: set[str] = set()
    used: list[tuple[str, Reached, ast.AST]] = []
    for reached in source.reached:
        for node in own_nodes(reached.node):
            if reached.hook == "host_started" and isinstance(node, ast.Assign):
                created.update(name for target in node.targets if (name := _holder(target)))
            if reached.hook != "register_commands":
                continue
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                filled.add(_holder(node))
            if isinstance(node, ast.keyword) and node.arg == "background":
                return  # it asks for a host that has started
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                used.append((_holder(node), reached, node))
    for name, reached, node in used:
        if name in created - filled:  # a command may fill it itself
            yield Fault(
                f"a command uses {name}, which only host_started fills, and that is not called for "
                "commands; create it here, or ask for context(background=True)",
                "register_commands",
                reached.at(node),
            )


def _holder(node: ast.expr) -> str:
    """The attribute or global that holds an entry."""
    if not isinstance(node, ast.Subscript):
        return ""
    return dotted(node.value).rpartition(".")[2]
