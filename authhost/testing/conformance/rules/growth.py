"""Collections and caches that grow without a limit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.attribute_uses import ADDING, depends, tainted_names
from authhost.testing.conformance.rules.reach import runs_in_flows
from authhost.testing.conformance.source import (
    CachedFunction,
    PluginSource,
    Reached,
    dotted,
    own_nodes,
)

LIMITING = frozenset({"popitem", "popleft", "clear", "move_to_end"})
"""Methods that show that a collection has a limit, or is emptied."""
COMPARING = frozenset({"len", "heappop", "heapq.heappop", "next", "min", "max"})
"""Functions with which a collection is limited."""
FEW_VALUES = frozenset({"provider", "process", "kind", "reason", "flow", "method", "code", "settings"})
"""Attributes and arguments with so few values that a cache by them stays small."""


def growing(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    _ = context.with_plugin
    first, last = context.repeated.sizes
    for name, size in last.items():
        if size <= first.get(name, 0):
            continue
        attribute = name.replace("[…]", "").rpartition(".")[2]
        if not _is_limited(source, attribute):
            yield Fault(
                f"{name} grows with every flow without a limit ({first.get(name, 0)} entries, then {size} "
                "after the flows of other users); delete what is no longer needed, or use "
                "collections.deque(maxlen=…) or an OrderedDict with a limit",
                where=_grows_at(source, attribute),
            )


def unlimited_caches(source: PluginSource) -> Iterator[Fault]:
    """Functions with a cache without a limit that are called with a value of one request."""
    for reached in source.reached:
        if not runs_in_flows(reached.hook):
            continue
        tainted = tainted_names(reached) - FEW_VALUES
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            function = reached.value(node.func)
            # An object of another library may answer to any name of an attribute.
            if not isinstance(function, CachedFunction):
                continue
            values = [*node.args, *(each.value for each in node.keywords)]
            if reached.hook == "check_password" and any(dotted(each) == "password" for each in values):
                yield Fault(
                    f"calls {dotted(node.func)} with the password, and its cache keeps the passwords of all "
                    "people in memory; do not cache a function of a password",
                    reached.hook,
                    reached.at(node),
                )
                continue
            if function.cache_parameters()["maxsize"] is not None:
                continue
            if any(depends(each, tainted) and not _has_few_values(each) for each in values):
                yield Fault(
                    f"calls {dotted(node.func)} with values of a request, and its cache has no limit, so it "
                    "grows as long as the process runs; use @lru_cache(maxsize=…)",
                    reached.hook,
                    reached.at(node),
                )


def _has_few_values(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in FEW_VALUES


def _is_limited(source: PluginSource, name: str) -> bool:
    """Whether the code shows that a collection has a limit, or is emptied."""
    return any(
        _shows_limit(reached, node, name) for reached in source.reached for node in own_nodes(reached.node)
    )


def _shows_limit(reached: Reached, node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in LIMITING:
            return _names(node.func.value, name)
        compared = dotted(node.func) in COMPARING
        return compared and any(_names(inner, name) for each in node.args for inner in ast.walk(each))
    if isinstance(node, ast.Delete):
        return any(_is_slice_of(each, name) for each in node.targets)
    if isinstance(node, ast.For):
        return any(_names(each, name) for each in ast.walk(node.iter))
    if isinstance(node, ast.Assign):
        replaced = any(_names(each, name) for each in node.targets)
        # Otherwise another name for it may be limited.
        return (replaced and reached.name not in ("__init__", "__post_init__")) or _names(node.value, name)
    return False


def _is_slice_of(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and _names(node.value, name)


def _names(node: Any, name: str) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == name) or (
        isinstance(node, ast.Name) and node.id == name
    )


def _grows_at(source: PluginSource, name: str) -> str | None:
    for reached in source.reached:
        for node in own_nodes(reached.node):
            added: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                added = [node.func.value] if node.func.attr in ADDING else []
            elif isinstance(node, ast.Assign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                added = [each.value for each in targets if isinstance(each, ast.Subscript)]
            if any(_names(each, name) for each in added):
                return reached.at(node)
    return None
