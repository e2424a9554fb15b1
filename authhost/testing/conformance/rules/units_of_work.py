"""A rule about state of one unit of work that a hook of another one expects."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost.pluginhost.hooks import NOTIFICATIONS, VETOES
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

READING = frozenset({"get", "pop"})


def other_units(source: PluginSource, context: CheckContext) -> Iterator[Fault]:
    """A key of `Request.local` that a hook reads and no earlier hook of the same unit of work stores."""
    stores: dict[str, set[str]] = {}
    reads: dict[str, list[tuple[Reached, ast.AST]]] = {}
    for reached in source.reached:
        if reached.hook not in NOTIFICATIONS | VETOES | {"deliver_message"}:
            continue
        for node in own_nodes(reached.node):
            key = _key(reached, node)
            if key is None:
                continue
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                stores.setdefault(key, set()).add(reached.hook)
            else:
                reads.setdefault(key, []).append((reached, node))
    follows = _in_one_unit(context)
    for key, hooks in stores.items():
        for reached, node in reads.get(key, ()):
            if reached.hook in hooks or any((hook, reached.hook) in follows for hook in hooks):
                continue
            if not any(second == reached.hook for _, second in follows):
                continue
            stored = " and ".join(sorted(hooks))
            yield Fault(
                f"reads {key} of request.local, which {stored} stores in another unit of work, such as "
                "before the address is confirmed; store a row, or use request.given",
                reached.hook,
                reached.at(node),
            )


def _key(reached: Reached, node: ast.AST) -> str | None:
    """The fixed key of an entry of ``request.local(…)``, directly or by a variable."""
    holder, key = None, None
    if isinstance(node, ast.Subscript):
        holder, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING:
        holder, key = node.func.value, node.args[0] if node.args else None
    if holder is None or not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    return key.value if _is_local(reached, holder) else None


def _is_local(reached: Reached, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return any(
            _is_local(reached, each.value)
            for each in own_nodes(reached.node)
            if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]
            if isinstance(each.value, ast.Call)
        )
    return isinstance(node, ast.Call) and dotted(node.func).endswith("request.local")


def _in_one_unit(context: CheckContext) -> set[tuple[str, str]]:
    """The pairs of hooks of which one unit of work calls the second after the first."""
    by_request: dict[int, list[str]] = {}
    for call in context.with_plugin.calls:
        request = call.arguments.get("request")
        if request is not None:
            by_request.setdefault(id(request), []).append(call.hook)
    return {
        (first, second)
        for hooks in by_request.values()
        for number, first in enumerate(hooks)
        for second in hooks[number:]
    }
