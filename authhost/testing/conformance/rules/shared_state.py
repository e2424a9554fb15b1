"""What one hook stores of its request, or of its host, and another hook uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.attribute_uses import Use, reads_of, shared_name, stores_of
from authhost.testing.conformance.rules.reach import runs_in_flows
from authhost.testing.conformance.source import (
    IN_WEB_REQUESTS,
    PluginSource,
    Reached,
    dotted,
    own_nodes,
)

OF_HOST = frozenset({"plugin_settings", "settings", "build_url", "site_name", "base_url"})
"""Attributes and methods of a request or a host whose values another host of the process does not have."""
BY_REQUEST = (
    "two requests at the same time, or one that is refused in between, then use the value of another one; "
    "keep it in request.local(NAME), or in a WeakKeyDictionary by request"
)


def passed_on(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    stores: list[Use] = []
    reads: list[Use] = []
    for reached in source.reached:
        if runs_in_flows(reached.hook):
            stores.extend(stores_of(reached))
            reads.extend(reads_of(reached))
    follows = _following(context)
    storing = {(store.name, id(store.reached.node)) for store in stores}
    reported: set[tuple[str, str]] = set()
    for store in stores:
        for read in reads:
            if store.name != read.name or store.keyed != read.keyed:
                continue
            if _same_call(store, read) or (store.name, store.reached.hook) in reported:
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


def _same_call(store: Use, read: Use) -> bool:
    """Whether one call stores and reads it. The functions of a plugin's routes run in several requests."""
    if store.reached.hook != read.reached.hook:
        return False
    return store.reached.hook not in IN_WEB_REQUESTS or store.reached.node is read.reached.node


def values_of_one_host(source: PluginSource) -> Iterator[Fault]:
    """What ``host_started`` stores of its host on the plugin or in its module, and flows of all hosts use."""
    reads = {read.name for each in source.reached if runs_in_flows(each.hook) for read in reads_of(each)}
    for reached in source.reached:
        if reached.hook != "host_started" or reached.name != "host_started":
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Assign) or not _mentions(node.value, "host"):
                continue
            for target in node.targets:
                name = None if isinstance(target, ast.Subscript) else shared_name(reached, target)
                if name in reads and str(name) not in dotted(node.value):  # else it adds to what is there
                    yield Fault(
                        f"stores {name} of one host, and flows of all hosts in the process use it; use "
                        "request.settings or request.host, or keep it in a dict by host",
                        "host_started",
                        reached.at(node),
                    )


def kept_settings(source: PluginSource) -> Iterator[Fault]:
    """Settings of the host, or texts made of them, that a flow keeps on the plugin or in its module."""
    in_flows = [each for each in source.reached if runs_in_flows(each.hook)]
    reads = {read.name for each in in_flows for read in reads_of(each)}
    for reached in in_flows:
        of_host = _values_of_host(reached)
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Assign) or not _is_of_host(node.value, of_host):
                continue
            for target in node.targets:
                name = None if isinstance(target, ast.Subscript) else shared_name(reached, target)
                if name in reads:
                    yield Fault(
                        f"keeps {name}, a value of one host, for all hosts of the process, also for one "
                        "with other settings; read the settings each time, or keep it in a "
                        "WeakKeyDictionary by host",
                        reached.hook,
                        reached.at(node),
                    )


def _values_of_host(reached: Reached) -> set[str]:
    """The local variables with settings, or with what was made of them."""
    names: set[str] = set()
    for _ in range(3):
        for node in own_nodes(reached.node):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.expr) and _is_of_host(value, names):
                names.add(target.id)
    return names


def _is_of_host(node: ast.expr, names: set[str]) -> bool:
    return any(
        (isinstance(each, ast.Attribute) and each.attr in OF_HOST and _root(each) in ("request", "host"))
        or (isinstance(each, ast.Name) and each.id in names)
        for each in ast.walk(node)
    )


def _root(node: ast.expr) -> str:
    """The name with which a chain of attributes begins."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return dotted(node)


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
