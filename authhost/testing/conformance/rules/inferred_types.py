"""The types of expressions, as far as annotations of the contract and of the plugin tell them."""

from __future__ import annotations

import ast
from collections.abc import Collection
from functools import lru_cache
from types import FunctionType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from authhost.pluginhost.hooks import SPEC_ARGUMENTS, SPEC_MODULES
from authhost.testing.conformance.source import UNKNOWN, Reached, own_nodes, plain_function

MAX_DEPTH = 6
TEXT_METHODS = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "casefold", "removeprefix", "removesuffix", "replace"}
    | {"join", "format", "title", "hex", "isoformat"}
)
LIST_METHODS = frozenset({"split", "rsplit", "splitlines"})
COLLECTING = (frozenset, set, list, tuple, sorted)


def type_of(reached: Reached, node: ast.expr | None, depth: int = 0) -> Any:
    """The annotation of an expression, or `UNKNOWN`."""
    if node is None or depth > MAX_DEPTH:
        return UNKNOWN
    if isinstance(node, ast.Constant):
        return type(node.value)
    if isinstance(node, ast.JoinedStr):
        return str
    if isinstance(node, ast.Set | ast.List | ast.Tuple):
        return _collection(type_of(reached, each, depth + 1) for each in node.elts)
    if isinstance(node, ast.SetComp | ast.ListComp | ast.GeneratorExp):
        return _collection([type_of(reached, node.elt, depth + 1)])
    if isinstance(node, ast.Call):
        return _type_of_call(reached, node, depth)
    if isinstance(node, ast.Name):
        return _type_of_name(reached, node, depth)
    if isinstance(node, ast.Attribute):
        value = reached.value(node)
        if value is not UNKNOWN and not isinstance(value, property) and not callable(value):
            return _type_of_object(value)
        return _attribute(type_of(reached, node.value, depth + 1), node.attr)
    return UNKNOWN


def _collection(items: Any) -> Any:
    kinds = set(items)
    if not kinds or UNKNOWN in kinds:
        return UNKNOWN
    return frozenset[Union[tuple(kinds)]]  # type: ignore[misc]  # noqa: UP007


def _type_of_object(value: Any) -> Any:
    """The type of a value that does not change, or `UNKNOWN`."""
    if isinstance(value, frozenset | tuple):
        return _collection(map(_type_of_object, value))
    return type(value) if isinstance(value, str | bytes) else UNKNOWN


def _type_of_name(reached: Reached, node: ast.Name, depth: int) -> Any:
    value = reached.value(node)
    if value is not UNKNOWN:
        return UNKNOWN if callable(value) else _type_of_object(value)
    found: list[Any] = []
    for each in own_nodes(reached.node):
        if isinstance(each, ast.AnnAssign) and _is(each.target, node):
            found.append(_annotation(reached.function, each.annotation))
        elif isinstance(each, ast.Assign) and any(_is(target, node) for target in each.targets):
            found.append(type_of(reached, each.value, depth + 1))
        elif isinstance(each, ast.Name) and _is(each, node) and isinstance(each.ctx, ast.Store):
            found.append(None)
    stored = [each for each in found if each is not None]
    if found:  # one statement, which stores the name once
        return stored[0] if len(found) == 2 and len(stored) == 1 else UNKNOWN
    return _parameters(reached.function, reached.hook).get(node.id, UNKNOWN)


def _is(node: ast.expr, name: ast.Name) -> bool:
    return isinstance(node, ast.Name) and node.id == name.id


def _annotation(function: FunctionType, node: ast.expr) -> Any:
    kind = function.__globals__.get(ast.unparse(node), UNKNOWN)
    return kind if isinstance(kind, type) else UNKNOWN


def _type_of_call(reached: Reached, node: ast.Call, depth: int) -> Any:
    called = reached.value(node.func)
    if called in COLLECTING and node.args:
        items = items_of(type_of(reached, node.args[0], depth + 1))
        return UNKNOWN if items is UNKNOWN else frozenset[items]  # type: ignore[valid-type]
    if isinstance(called, type):
        return called
    function, _ = plain_function(called)
    if function is not None:
        return _hints(function).get("return", UNKNOWN)
    if isinstance(node.func, ast.Attribute):
        holder = type_of(reached, node.func.value, depth + 1)
        if holder is str and node.func.attr in TEXT_METHODS:
            return str
        if holder is str and node.func.attr in LIST_METHODS:
            return list[str]
        method = getattr(holder, node.func.attr, None) if isinstance(holder, type) else None
        return _hints(method).get("return", UNKNOWN) if isinstance(method, FunctionType) else UNKNOWN
    return UNKNOWN


@lru_cache(maxsize=1024)
def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # an annotation may be anything
        return {}


@lru_cache(maxsize=1024)
def _parameters(function: FunctionType, hook: str) -> dict[str, Any]:
    """The types of the parameters: those of the contract for the hook itself, else the annotations."""
    if function.__name__ != hook:
        return _hints(function)
    for module in SPEC_MODULES:
        spec = getattr(module, hook, None)
        if spec is not None:
            hints = _hints(spec)
            return {name: hints[name] for name in SPEC_ARGUMENTS[hook] if name in hints}
    return {}


def _attribute(holder: Any, name: str) -> Any:
    """The type of an attribute of a value of this type."""
    kinds = [each for each in _members(holder) if each is not NoneType]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        return UNKNOWN
    found = getattr(kinds[0], name, None)
    getter = found.fget if isinstance(found, property) else getattr(found, "func", None)
    if isinstance(getter, FunctionType):
        return _hints(getter).get("return", UNKNOWN)
    return _hints(kinds[0]).get(name, UNKNOWN)


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def items_of(kind: Any) -> Any:
    """The type of the items of a collection, or `UNKNOWN`."""
    if kind is str:
        return str
    origin, args = get_origin(kind), get_args(kind)
    if not isinstance(origin, type) or not issubclass(origin, Collection) or not args:
        return UNKNOWN
    if issubclass(origin, tuple):
        args = tuple(each for each in args if each is not Ellipsis)
        return Union[args] if args else UNKNOWN  # noqa: UP007
    return args[0]


def names_of(kind: Any) -> frozenset[str] | None:
    """The names of the classes of a value of this type, without None. None if they are not known."""
    names: set[str] = set()
    for each in _members(kind):
        if get_origin(each) is Literal:
            names.update(type(value).__name__ for value in get_args(each))
        elif each is NoneType:
            continue
        elif each in (bool, int, float):
            names.add("number")
        elif isinstance(each, type) and (
            each.__module__.startswith("authhost_hookspecs")
            or each.__name__ in ("str", "bytes", "UUID", "datetime")
        ):
            names.add(each.__name__)
        else:
            return None
    return frozenset(names) or None
