"""Check of what a plugin keeps in memory from one hook, and from one flow, to the next."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from authhost.pluginhost.hooks import NOTIFICATIONS, SPEC_ARGUMENTS, VETOES
from authhost.testing.conformance.checks.threads import acquired_at
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import (
    UNKNOWN,
    CachedFunction,
    PluginSource,
    Reached,
    assigned_names,
    dotted,
    own_nodes,
)

IN_FLOWS = NOTIFICATIONS | VETOES | {"deliver_message"}
ADDING = frozenset({"append", "add", "setdefault", "update", "appendleft", "insert", "set", "__setitem__"})
READING = frozenset({"get", "pop", "__getitem__", "__contains__", "popleft", "popitem"})
LIMITING = frozenset({"popitem", "popleft", "clear", "move_to_end"})
"""Methods that show that a collection has a limit, or is emptied."""
COMPARING = frozenset({"len", "heappop", "heapq.heappop", "next", "min", "max"})
"""Functions with which a collection is limited."""
BY_REQUEST = (
    "two requests at the same time, or one that is refused in between, then use the value of another one; "
    "keep it in request.local(NAME), or in a WeakKeyDictionary by request"
)
FEW_VALUES = frozenset({"provider", "process", "kind", "reason", "flow", "method", "code", "settings"})
"""Attributes and arguments with so few values that a cache by them stays small."""
SAFE_ATTRIBUTES = frozenset({"now", "settings", "plugin_settings", "host", "new_id"})
"""Attributes of a request that are the same for all requests."""


class Use(NamedTuple):
    """One place at which a hook stores or reads an attribute of the plugin, or a global variable."""

    name: str
    reached: Reached
    node: ast.AST
    keyed: bool
    """Whether it stores or reads one entry of a collection."""


def state(context: CheckContext) -> Iterator[Fault]:
    """It keeps nothing of one request for another one, and what it keeps in memory has a limit."""
    source = PluginSource(context.checked)
    yield from dict.fromkeys(_passed_on(context, source))
    yield from dict.fromkeys(_values_of_one_host(source))
    yield from _growing(context, source)
    yield from dict.fromkeys(_unlimited_caches(source))
    for name in context.repeated.held_locks:
        yield Fault(
            f"{name} is still locked after a login that another plugin has refused; lock and unlock it in "
            f"the same hook: `with {name}:`",
            where=acquired_at(context.checked, name),
        )


# From one hook to another.


def _passed_on(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    stores: list[Use] = []
    reads: list[Use] = []
    for reached in source.reached:
        if reached.hook in IN_FLOWS:
            stores.extend(_stores(reached))
            reads.extend(_reads(reached))
    follows = _following(context)
    storing = {(store.name, id(store.reached.node)) for store in stores}
    reported: set[tuple[str, str]] = set()
    for store in stores:
        for read in reads:
            if store.name != read.name or store.keyed != read.keyed:
                continue
            if store.reached.hook == read.reached.hook or (store.name, store.reached.hook) in reported:
                continue
            if store.keyed and (store.reached.hook, read.reached.hook) not in follows:
                continue
            if store.keyed and (read.name, id(read.reached.node)) in storing:
                continue  # a cache that one function fills and reads
            reported.add((store.name, store.reached.hook))
            yield Fault(
                f"stores {store.name} of one request, and {read.reached.hook} uses it "
                f"({read.reached.at(read.node)}): {BY_REQUEST}",
                store.reached.hook,
                store.reached.at(store.node),
            )


def _values_of_one_host(source: PluginSource) -> Iterator[Fault]:
    """What ``host_started`` stores of its host on the plugin or in its module, and flows of all hosts use."""
    reads = {read.name for each in source.reached if each.hook in IN_FLOWS for read in _reads(each)}
    for reached in source.reached:
        if reached.hook != "host_started" or reached.name != "host_started":
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Assign) or not _mentions(node.value, "host"):
                continue
            for target in node.targets:
                name = None if isinstance(target, ast.Subscript) else _shared_name(reached, target)
                if name in reads and str(name) not in dotted(node.value):  # else it adds to what is there
                    yield Fault(
                        f"stores {name} of one host, and flows of all hosts in the process use it; use "
                        "request.settings or request.host, or keep it in a dict by host",
                        "host_started",
                        reached.at(node),
                    )


def _mentions(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _following(context: CheckContext) -> set[tuple[str, str]]:
    """The pairs of hooks of which one flow calls the second after the first."""
    by_request: dict[int, list[str]] = {}
    for call in context.with_plugin.calls:
        request = call.arguments.get("request")
        if request is not None:
            by_request.setdefault(id(request), []).append(call.hook)
    steps: dict[str, list[str]] = {}
    for step, call in zip(context.with_plugin.step_of_call, context.with_plugin.calls, strict=True):
        steps.setdefault(step, []).append(call.hook)
    return {
        (first, second)
        for hooks in (*by_request.values(), *steps.values())
        for number, first in enumerate(hooks)
        for second in hooks[number + 1 :]
    }


def _shared_name(reached: Reached, node: ast.expr) -> str | None:
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


def _stores(reached: Reached) -> Iterator[Use]:
    tainted = _tainted_names(reached)
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
                name = _shared_name(reached, target.value)
                if (
                    name is not None
                    and _is_by_user(reached, target.slice, tainted)
                    and _is_shared(reached, target.value)
                ):
                    yield Use(name, reached, node, keyed=True)
                continue
            name = _shared_name(reached, target)
            if name is None or value is None or name in dotted(value):
                continue  # it adds to what is there
            if _is_request_value(reached, value, tainted):
                yield Use(name, reached, node, keyed=False)


def _added(reached: Reached, node: ast.Call, method: ast.Attribute, tainted: set[str]) -> Iterator[Use]:
    name = _shared_name(reached, method.value)
    if name is None or method.attr not in ADDING or not node.args:
        return
    value = reached.value(method.value)
    if isinstance(value, ContextVar):
        if method.attr == "set" and _depends(node.args[0], tainted):
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
        _depends(key, tainted)
        and text != "request"
        and "request.id" not in text
        and "request.new_id" not in text
    )


def _is_request_value(reached: Reached, value: ast.expr, tainted: set[str]) -> bool:
    if _depends(value, tainted):
        return True
    # A flag. In a callback it is about the plugin, such as whether a server has answered.
    return reached.at_once and isinstance(value, ast.Constant) and isinstance(value.value, bool | str | int)


def _tainted_names(reached: Reached) -> set[str]:
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
            if isinstance(node, ast.Assign) and _depends(node.value, tainted):
                tainted.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return tainted


def _depends(node: ast.expr, tainted: set[str]) -> bool:
    """Whether the value of an expression belongs to one request."""
    if isinstance(node, ast.Attribute) and node.attr in SAFE_ATTRIBUTES:
        return False
    if isinstance(node, ast.Call):
        function = node.func
        safe = isinstance(function, ast.Attribute) and function.attr in SAFE_ATTRIBUTES
        parts = [*node.args, *(each.value for each in node.keywords)]
        return not safe and (
            any(_depends(each, tainted) for each in parts)
            or (isinstance(function, ast.Attribute) and _depends(function.value, tainted))
        )
    if isinstance(node, ast.Name):
        return node.id in tainted
    return any(_depends(each, tainted) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr))


def _reads(reached: Reached) -> Iterator[Use]:
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
        name = _shared_name(reached, holder)
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
            name, value = _shared_name(reached, node), reached.value(node)
            # A context variable is read by its method `get`, which is handled above.
            if name is not None and not callable(value) and not isinstance(value, ContextVar):
                yield Use(name, reached, node, keyed=False)
        elif isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
            made = ast.Attribute(node.args[0], dotted(node.args[1]).strip("'\""), ast.Load())
            name = _shared_name(reached, made)
            if name is not None:
                yield Use(name, reached, node, keyed=False)


def _checks_request(reached: Reached) -> bool:
    """Whether a function compares what it has found with its own request."""
    return any(
        isinstance(node, ast.Compare) and "request" in dotted(node) for node in own_nodes(reached.node)
    )


# Growing.


def _growing(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
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


def _unlimited_caches(source: PluginSource) -> Iterator[Fault]:
    """Functions with a cache without a limit that are called with a value of one request."""
    for reached in source.reached:
        if reached.hook not in IN_FLOWS:
            continue
        tainted = _tainted_names(reached) - FEW_VALUES
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            function = reached.value(node.func)
            # An object of another library may answer to any name of an attribute.
            if not isinstance(function, CachedFunction) or function.cache_parameters()["maxsize"] is not None:
                continue
            values = [*node.args, *(each.value for each in node.keywords)]
            if any(_depends(each, tainted) and not _has_few_values(each) for each in values):
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
