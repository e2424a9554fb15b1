"""A rule about fixed texts that the contract does not accept, such as an unknown status of `Health`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from types import FunctionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.inferred_types import type_of
from authhost.testing.conformance.source import UNKNOWN, PluginSource, Reached, dotted, own_nodes

CONTRACT = "authhost_hookspecs"


def unknown_values(source: PluginSource) -> Iterator[Fault]:
    """Texts that a class or method of the contract refuses with ``ValueError`` when the code runs."""
    for reached in source.reached:
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            called = _called(reached, node)
            for name, value in _arguments(called, node) if called is not None else ():
                allowed = _allowed(called, name)
                for text in _texts(reached, value) if allowed else ():
                    if text not in allowed:
                        near = get_close_matches(text, allowed, 1)
                        hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(allowed)}"
                        yield Fault(
                            f"passes {text!r} to {dotted(node.func)} as {name}, which raises ValueError; "
                            f"{hint}",
                            reached.hook,
                            reached.at(node),
                        )


def _called(reached: Reached, node: ast.Call) -> Any:
    """The class or function of the contract that is called, or None."""
    value = reached.value(node.func)
    if value is UNKNOWN and isinstance(node.func, ast.Attribute):
        holder = type_of(reached, node.func.value)
        value = getattr(holder, node.func.attr, None) if isinstance(holder, type) else None
    if not isinstance(value, type | FunctionType) or not str(value.__module__).startswith(CONTRACT):
        return None
    return value


def _arguments(called: Any, node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    parameters = [name for name in inspect.signature(called).parameters if name != "self"]
    if not any(isinstance(each, ast.Starred) for each in node.args):
        yield from zip(parameters, node.args, strict=False)
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value


def _allowed(called: Any, name: str) -> tuple[str, ...]:
    """The texts that the annotation of a parameter lists, or nothing."""
    try:
        hint = get_type_hints(called).get(name)
    except Exception:  # an annotation that does not exist at run time
        return ()
    kinds = get_args(hint) if get_origin(hint) is Union else (hint,)
    if not all(get_origin(each) is Literal for each in kinds):
        return ()
    return tuple(str(text) for each in kinds for text in get_args(each))


def _texts(reached: Reached, node: ast.expr, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The fixed texts that an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(reached, node.body, seen)
        yield from _texts(reached, node.orelse, seen)
    elif isinstance(node, ast.BoolOp):
        for each in node.values:
            yield from _texts(reached, each, seen)
    elif isinstance(node, ast.Name) and node.id not in seen:
        for store in own_nodes(reached.node):
            if isinstance(store, ast.Assign) and [dotted(each) for each in store.targets] == [node.id]:
                yield from _texts(reached, store.value, seen | {node.id})
