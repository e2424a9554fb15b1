"""Comparisons with values that an attribute or an argument of the contract never has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args

import authhost_hookspecs as contract
from authhost_hookspecs.declarations import ChangeKind, MessageKind

from authhost import errors
from authhost.errors import AuthError
from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import runs_in_flows
from authhost.testing.conformance.source import (
    PluginSource,
    Reached,
    dotted,
    own_nodes,
)


def _vocabulary() -> dict[str, frozenset[str]]:
    """The values that an attribute or argument of the contract can have, by its name."""

    def quoted(text: str | None) -> frozenset[str]:
        return frozenset(re.findall(r"``([a-z_]+)``", text or ""))

    codes: set[str] = set()
    waiting: list[type] = [AuthError]
    while waiting:
        kind = waiting.pop()
        codes.add(kind.code)  # type: ignore[attr-defined]
        waiting.extend(kind.__subclasses__())
    codes |= {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
    return {
        "process": frozenset({"login", "connect", "redirect"}),
        "kind": frozenset(get_args(MessageKind)) | {"plugin"},
        "change.kind": frozenset(get_args(ChangeKind)),
        "reason": quoted(contract.extensions.notifications.session_ended.__doc__) - {"reason"},
        "code": frozenset(codes),
    }


VOCABULARY = _vocabulary()
HOLDERS = {"process": {"sociallogin"}, "kind": {"message"}, "code": {"error"}}
"""The arguments whose attributes have these values."""


def impossible_comparisons(source: PluginSource) -> Iterator[Fault]:
    for reached in source.reached:
        if not runs_in_flows(reached.hook):
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Compare) or len(node.ops) != 1:
                continue
            left, right = node.left, node.comparators[0]
            subject, literal = (left, right) if _strings(reached, right) else (right, left)
            texts = _strings(reached, literal)
            if not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn) or not texts:
                continue
            name = _enumerated(reached, subject)
            if name is None:
                continue
            known = VOCABULARY[name]
            unknown = [each for each in texts if each not in known]
            for each in unknown:
                near = get_close_matches(each, known, 1, 0.75)
                if name == "code" and not near and len(unknown) < len(texts):
                    continue  # the application may have errors of its own
                hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(sorted(known))}"
                if name == "code" and not near:
                    hint = "docs/refusals.md lists the codes"
                yield Fault(
                    f"compares {dotted(subject)} with {each!r}, which it never is, so the code behind this "
                    f"condition does not do what it says; {hint}",
                    reached.hook,
                    reached.at(node),
                )


def _strings(reached: Reached, node: ast.expr) -> list[str]:
    """The fixed texts of an expression: a text, a collection of texts, or a constant that has them."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [text for each in node.elts for text in _strings(reached, each)]
    value = reached.value(node) if isinstance(node, ast.Constant | ast.Name | ast.Attribute) else None
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple | frozenset) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return []


def _is_argument(reached: Reached, name: str) -> bool:
    """Whether a name is the hook's argument, also in a helper, and not a caught exception."""
    caught = {each.name for each in own_nodes(reached.node) if isinstance(each, ast.ExceptHandler)}
    return name in SPEC_ARGUMENTS.get(reached.hook, ()) and name not in caught


def _enumerated(reached: Reached, node: ast.expr) -> str | None:
    """The name in `VOCABULARY` of the values that an expression has."""
    if isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
        name = node.args[1]
        if isinstance(name, ast.Constant) and dotted(node.args[0]) in HOLDERS.get(str(name.value), ()):
            return str(name.value) if _is_argument(reached, dotted(node.args[0])) else None
    if dotted(node) == "change.kind" and _is_argument(reached, "change"):
        return "change.kind"
    if isinstance(node, ast.Attribute):
        named = dotted(node.value) in HOLDERS.get(node.attr, ())
        return node.attr if named and _is_argument(reached, dotted(node.value)) else None
    if isinstance(node, ast.Name):
        if node.id in ("process", "reason") and node.id in SPEC_ARGUMENTS.get(reached.hook, ()):
            return node.id
        for each in own_nodes(reached.node):
            if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]:
                return None if isinstance(each.value, ast.Name) else _enumerated(reached, each.value)
    return None
