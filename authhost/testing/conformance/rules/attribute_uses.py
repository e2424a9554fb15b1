"""Where hooks store and read attributes of the plugin and global variables, with values of a request."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple
from weakref import WeakKeyDictionary

from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.testing.conformance.source import (
    UNKNOWN,
    Reached,
    assigned_names,
    dotted,
    own_nodes,
)

ADDING = frozenset({"append", "add", "setdefault", "update", "appendleft", "insert", "set", "__setitem__"})
READING = frozenset({"get", "pop", "__getitem__", "__contains__", "popleft", "popitem"})
SAFE_ATTRIBUTES = frozenset({"now", "settings", "plugin_settings", "host", "new_id"})
"""Attributes of a request that are the same for all requests."""


class Use(NamedTuple):
    """One place at which a hook stores or reads an attribute of the plugin, or a global variable."""

    name: str
    reached: Reached
    node: ast.AST
    keyed: bool
    """Whether it stores or reads one entry of a collection."""


def shared_name(reached: Reached, node: ast.expr) -> str | None:
    """The name of an attribute of the plugin, or of a global variable of its module."""
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("self", "cls")
    ):
        return None if isinstance(reached.owner, type) and node.value.id == "self" else node.attr
    if isinstance(node, ast.Attribute):
        holder = reached.value(node.value)
        if isinstance(holder, threading.local):
            return f"{dotted(node.value)}.{node.attr}"
        if isinstance(holder, type) and holder is not UNKNOWN and _is_own(reached, holder):
            return node.attr
    is_global = isinstance(node, ast.Name) and node.id not in assigned_names(reached.node)
    return node.id if is_global and node.id in reached.function.__globals__ else None  # type: ignore[attr-defined]


def _is_own(reached: Reached, kind: type) -> bool:
    return kind.__module__ == reached.function.__module__


def stores_of(reached: Reached) -> Iterator[Use]:
    tainted = tainted_names(reached)
    for node in own_nodes(reached.node):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = list(node.targets), node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _added(reached, node, node.func, tainted)
            continue
        for target in targets:
            if isinstance(target, ast.Subscript):
                name = shared_name(reached, target.value)
                if (
                    name is not None
                    and _is_by_user(reached, target.slice, tainted)
                    and _is_shared(reached, target.value)
                ):
                    yield Use(name, reached, node, keyed=True)
                continue
            name = shared_name(reached, target)
            if name is None or value is None or name in dotted(value):
                continue  # it adds to what is there
            if _is_request_value(reached, value, tainted):
                yield Use(name, reached, node, keyed=False)


def _added(reached: Reached, node: ast.Call, method: ast.Attribute, tainted: set[str]) -> Iterator[Use]:
    name = shared_name(reached, method.value)
    if name is None or method.attr not in ADDING or not node.args:
        return
    value = reached.value(method.value)
    if isinstance(value, ContextVar):
        if method.attr == "set" and depends(node.args[0], tainted):
            yield Use(name, reached, node, keyed=False)
    elif _is_by_user(reached, node.args[0], tainted) and _is_shared(reached, method.value):
        yield Use(name, reached, node, keyed=True)


def _is_shared(reached: Reached, node: ast.expr) -> bool:
    """Whether a collection has entries of several requests: not one that is keyed by request."""
    value = reached.value(node)
    return not isinstance(value, WeakKeyDictionary)


def _is_by_user(reached: Reached, key: ast.expr, tainted: set[str]) -> bool:
    """Whether a key belongs to a person and not to one request."""
    text = dotted(key)
    return (
        depends(key, tainted)
        and text != "request"
        and "request.id" not in text
        and "request.new_id" not in text
    )


def _is_request_value(reached: Reached, value: ast.expr, tainted: set[str]) -> bool:
    if depends(value, tainted):
        return True
    # A flag. In a callback it is about the plugin, such as whether a server has answered.
    return reached.at_once and isinstance(value, ast.Constant) and isinstance(value.value, bool | str | int)


def tainted_names(reached: Reached) -> set[str]:
    """The names of arguments and variables whose values belong to one request."""
    arguments = {each.arg for each in ast.walk(reached.node.args) if isinstance(each, ast.arg)}
    tainted = arguments - {"self", "cls", "host", "settings"}
    own = SPEC_ARGUMENTS.get(reached.hook, ())
    if getattr(reached.node, "name", "") == reached.hook:
        tainted &= set(own)
    if not reached.at_once:
        tainted |= set(own) & {each.id for each in own_nodes(reached.node) if isinstance(each, ast.Name)}
    for _ in range(3):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.Assign) and depends(node.value, tainted):
                tainted.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return tainted


def depends(node: ast.expr, tainted: set[str]) -> bool:
    """Whether the value of an expression belongs to one request."""
    if isinstance(node, ast.Attribute) and node.attr in SAFE_ATTRIBUTES:
        return False
    if isinstance(node, ast.Call):
        function = node.func
        safe = isinstance(function, ast.Attribute) and function.attr in SAFE_ATTRIBUTES
        parts = [*node.args, *(each.value for each in node.keywords)]
        return not safe and (
            any(depends(each, tainted) for each in parts)
            or (isinstance(function, ast.Attribute) and depends(function.value, tainted))
        )
    if isinstance(node, ast.Name):
        return node.id in tainted
    return any(depends(each, tainted) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr))


def reads_of(reached: Reached) -> Iterator[Use]:
    nodes = own_nodes(reached.node)
    keyed: set[int] = set()
    ignored = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        holder: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            holder = node.value
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING
        ):
            holder = node.func.value
        elif isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.In | ast.NotIn):
            holder = node.comparators[-1]
        if holder is None:
            continue
        name = shared_name(reached, holder)
        if name is None:
            continue
        keyed.add(id(holder))
        if isinstance(reached.value(holder), ContextVar):
            if not _checks_request(reached):
                yield Use(name, reached, node, keyed=False)
        elif id(node) not in ignored:  # `self.cache.pop(user.id, None)` only deletes
            yield Use(name, reached, node, keyed=True)
    for node in nodes:
        if (
            isinstance(node, ast.Attribute | ast.Name)
            and isinstance(node.ctx, ast.Load)
            and id(node) not in keyed
        ):
            name, value = shared_name(reached, node), reached.value(node)
            # A context variable is read by its method `get`, which is handled above.
            if name is not None and not callable(value) and not isinstance(value, ContextVar):
                yield Use(name, reached, node, keyed=False)
        elif isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
            made = ast.Attribute(node.args[0], dotted(node.args[1]).strip("'\""), ast.Load())
            name = shared_name(reached, made)
            if name is not None:
                yield Use(name, reached, node, keyed=False)


def _checks_request(reached: Reached) -> bool:
    """Whether a function compares what it has found with its own request."""
    return any(
        isinstance(node, ast.Compare) and "request" in dotted(node) for node in own_nodes(reached.node)
    )
