"""Implementations that the host does not see: hidden, defined twice, or defined inside of something."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

import authhost_hookspecs as contract

from authhost.pluginhost.attributes import MARKER_ATTRIBUTES
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import (
    PluginSource,
    dotted,
    node_of,
    own_nodes,
    parse,
    plain_function,
    undecorated,
)


def place(function: FunctionType) -> tuple[str, int]:
    return function.__code__.co_filename, function.__code__.co_firstlineno


def location(place: tuple[str, int]) -> str:
    return f"{Path(place[0]).name}:{place[1]}"


def _marked_hook(function: Any) -> TypeGuard[FunctionType]:
    return isinstance(function, FunctionType) and any(each in vars(function) for each in MARKER_ATTRIBUTES)


def hidden(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    """Implementations of a class that another attribute with the same name hides."""
    checked = context.checked
    if isinstance(checked.plugin, ModuleType):
        return
    seen: dict[str, FunctionType | None] = {
        name: plain_function(value)[0] for name, value in getattr(checked.plugin, "__dict__", {}).items()
    }
    for kind in type(checked.plugin).__mro__:
        for name, value in vars(kind).items():
            raw = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            function = raw if isinstance(raw, FunctionType) else None
            if name in seen:
                hiding = seen[name]
                if _marked_hook(function) and _has_body(function) and not _calls_hidden(hiding, name):
                    by = f"the one in {location(place(hiding))}" if hiding else "an attribute of the object"
                    yield Fault(
                        f"is never called, since {by} with the same name hides it; "
                        f"call super().{name}(…) there, or rename it",
                        name,
                        location(place(function)),
                    )
                continue
            seen[name] = function


def _calls_hidden(hiding: FunctionType | None, name: str) -> bool:
    node = node_of(hiding) if hiding is not None else None
    calls = (each for each in own_nodes(node) if isinstance(each, ast.Attribute)) if node is not None else ()
    return any(each.attr == name for each in calls)


def _has_body(function: FunctionType) -> bool:
    """Whether a function does something, as opposed to one that subclasses have to replace."""
    node = node_of(function)
    if node is None or isinstance(node, ast.Lambda):
        return False
    return any(
        not isinstance(each, ast.Pass)
        and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        and not (isinstance(each, ast.Raise) and "NotImplemented" in ast.dump(each))
        for each in node.body
    )


def _is_marker(node: ast.expr) -> bool:
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2] == "hookimpl"


def not_registered(context: CheckContext) -> Iterator[Fault]:
    """Functions with the marker that no plugin object has: defined twice, or inside of something."""
    checked = context.checked
    plugins = [checked.plugin, *_other_plugins(context)]
    known: set[tuple[str, int]] = set()
    for plugin in plugins:
        kinds = [plugin] if isinstance(plugin, ModuleType) else [*type(plugin).__mro__]
        for holder in (plugin, *kinds):
            for value in getattr(holder, "__dict__", {}).values():
                raw = value.__func__ if isinstance(value, staticmethod | classmethod) else value
                function, _ = plain_function(raw)
                known.update(map(place, undecorated(function) if function is not None else ()))
    for filename, tree, scope in _scopes(context):
        for parents, node in _marked_nodes(scope, tree):
            line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if (filename, line) in known or not any(each in scope for each in (node, *parents)):
                continue
            yield Fault(
                f"is never called, since {_reason(node, parents)}; {_remedy(parents)}",
                node.name,
                f"{Path(filename).name}:{line}",
            )


def _reason(node: ast.FunctionDef | ast.AsyncFunctionDef, parents: list[ast.AST]) -> str:
    holder = parents[-1] if parents else None
    if isinstance(holder, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"it is defined inside of the function {holder.name}"
    body = getattr(holder, "body", [])
    same = [each for each in body if getattr(each, "name", None) == node.name and each is not node]
    if same and same[-1].lineno > node.lineno:
        return f"line {same[-1].lineno} defines {node.name} again"
    if isinstance(holder, ast.ClassDef):
        return f"no plugin object has the class {holder.name}"
    return "it is not an attribute of the plugin object"


def _remedy(parents: list[ast.AST]) -> str:
    if len([each for each in parents if isinstance(each, ast.ClassDef)]) > 1 or any(
        isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in parents
    ):
        return "move it into the plugin's own class"
    return "keep one of them, or add an entry point for the object that has it"


def _other_plugins(context: CheckContext) -> Iterator[Any]:
    """The plugins of other entry points of the same modules, and objects beside the plugin."""
    checked = context.checked
    if checked.entry_point is not None:
        top = checked.entry_point.partition(":")[0].partition(".")[0]
        for each in entry_points(group=contract.PROJECT_NAME):
            if each.module.partition(".")[0] == top:
                try:
                    yield each.load()
                except Exception:  # noqa: S112
                    continue  # the check of that plugin reports it
    module = _module(checked.plugin)
    for value in vars(module).values() if module is not None else ():
        if not isinstance(value, type | ModuleType | FunctionType) and checked.owns(
            str(getattr(sys.modules.get(type(value).__module__), "__file__", ""))
        ):
            yield value


def _module(plugin: object) -> ModuleType | None:
    return plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)


def _scopes(context: CheckContext) -> Iterator[tuple[str, ast.Module, list[ast.AST]]]:
    """The parts of files that belong to this plugin: its classes, or whole modules if they are its own."""
    checked = context.checked
    module = _module(checked.plugin)
    own = module is not None and (
        module is checked.plugin
        or checked.entry_point is not None
        or any(value is checked.plugin for value in vars(module).values())
    )
    files = {str(getattr(module, "__file__", ""))}
    if checked.entry_point is not None and checked.root is not None and checked.root.is_dir():
        loaded = (
            str(getattr(each, "__file__", "")) for each in list(sys.modules.values()) if each is not None
        )
        files |= {each for each in loaded if each and checked.owns(each)}
    names = {each.__name__ for each in type(checked.plugin).__mro__}
    for filename in sorted(files):
        parts = Path(filename).parts
        tree = parse(filename) if filename and "tests" not in parts[-2:] else None
        if tree is None or (Path(filename).name.startswith(("test_", "conftest")) and checked.entry_point):
            continue
        if own:
            yield filename, tree, list(tree.body)
        else:
            classes = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
            yield filename, tree, [each for each in classes if each.name in names]


def _marked_nodes(
    scope: list[ast.AST], tree: ast.Module
) -> Iterator[tuple[list[ast.AST], ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function with the marker, with the classes and functions around it."""

    def walk(
        node: ast.AST, parents: list[ast.AST]
    ) -> Iterator[tuple[list[ast.AST], ast.FunctionDef | ast.AsyncFunctionDef]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            map(_is_marker, node.decorator_list)
        ):
            yield parents, node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            parents = [*parents, node]
        for each in ast.iter_child_nodes(node):
            yield from walk(each, parents)

    for statement in tree.body:
        yield from walk(statement, [])
