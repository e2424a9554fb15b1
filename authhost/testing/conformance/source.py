"""The source code of a plugin: which functions its hooks run, directly or later.

Names are resolved with the real objects: the globals of a function, its closure, and
the attributes of the plugin. So other plugins in the same file do not count.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import click
from authhost_hookspecs import AdminPanel, ApiRoute, PageRoute, Panel

from authhost.testing.conformance.checked_plugin import CheckedPlugin

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
CachedFunction = type(lru_cache(len))
"""The type of what `functools.lru_cache` and `functools.cache` return."""
DECLARING = frozenset(
    {
        "register_checks",
        "register_commands",
        "register_health",
        "register_keys",
        "register_maintenance",
        "register_metrics",
        "register_panels",
        "register_routes",
    }
)
"""Hooks that return functions or commands, which may be imported only there."""
IN_WEB_REQUESTS = frozenset({"register_panels", "register_routes"})
"""Those whose functions run in the unit of work of a web request."""
UNKNOWN = object()
"""The value of an expression that cannot be known without running it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A function that a hook runs."""

    hook: str
    node: FunctionNode
    function: FunctionType
    """The function whose globals and closure give the names in ``node`` their values."""
    owner: Any
    """The object whose method it is, or None."""
    at_once: bool
    """Whether the hook itself calls it. Otherwise a callback, a thread or a job may run it."""
    guarded: bool = False
    """Whether a caller catches exceptions around the call."""

    @property
    def filename(self) -> str:
        """The file that contains it."""
        return self.function.__code__.co_filename

    @property
    def name(self) -> str:
        """Its name, or ``lambda``."""
        return getattr(self.node, "name", "lambda")

    def at(self, node: ast.AST) -> str:
        """File and line of a node."""
        return f"{Path(self.filename).name}:{getattr(node, 'lineno', 0)}"

    def value(self, node: ast.expr | None) -> Any:
        """The object that a name or a chain of attributes refers to, or `UNKNOWN`."""
        if isinstance(node, ast.Name):
            if node.id == "self" and self.owner is not None:
                return self.owner
            if node.id in assigned_names(self.node):
                return UNKNOWN
            found = _global(self.function, node.id)
            return _imported(self.node, self.function, node.id) if found is UNKNOWN else found
        if isinstance(node, ast.Attribute):
            holder = self.value(node.value)
            if holder is UNKNOWN or isinstance(holder, type(None)):
                return UNKNOWN
            return static_value(holder, node.attr)
        if isinstance(node, ast.Constant):
            return node.value
        return UNKNOWN


def static_value(holder: Any, name: str) -> Any:
    """An attribute without running code of the holder. A function of its class is bound to it."""
    found = inspect.getattr_static(holder, name, UNKNOWN)
    if isinstance(found, staticmethod):
        return found.__func__
    if isinstance(found, classmethod):
        return found.__func__
    if isinstance(found, FunctionType) and not isinstance(holder, type) and not inspect.ismodule(holder):
        return MethodType(found, holder) if name not in getattr(holder, "__dict__", {}) else found
    return found


def _global(function: FunctionType, name: str) -> Any:
    names = function.__code__.co_freevars
    if name in names and function.__closure__ is not None:
        try:
            return function.__closure__[names.index(name)].cell_contents
        except ValueError:
            return UNKNOWN
    if name in function.__globals__:
        return function.__globals__[name]
    builtins = function.__globals__.get("__builtins__", {})
    return (builtins if isinstance(builtins, dict) else vars(builtins)).get(name, UNKNOWN)


def _imported(node: FunctionNode, function: FunctionType, name: str) -> Any:
    """What a function imports under a name, if its module has been imported already."""
    for each in own_nodes(node):
        if not isinstance(each, ast.ImportFrom):
            continue
        for alias in each.names:
            if (alias.asname or alias.name) == name:
                package = str(function.__globals__.get("__package__") or "")
                home = package.rsplit(".", each.level - 1)[0] if each.level else ""
                module = sys.modules.get(".".join(filter(None, (home, each.module))))
                return static_value(module, alias.name) if module is not None else UNKNOWN
    return UNKNOWN


@lru_cache(maxsize=4096)
def assigned_names(node: FunctionNode) -> frozenset[str]:
    """The parameters and the local variables of a function."""
    names = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    shared: set[str] = set()
    for each in own_nodes(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.add(each.id)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(each.name)
        elif isinstance(each, ast.Global | ast.Nonlocal):
            shared.update(each.names)
        elif isinstance(each, ast.ExceptHandler) and each.name:
            names.add(each.name)
    return frozenset(names - shared)


@lru_cache(maxsize=4096)
def own_nodes(node: FunctionNode) -> tuple[ast.AST, ...]:
    """All nodes of a function's body without those of functions inside it. These count as one node each."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
    while waiting:
        each = waiting.pop(0)
        found.append(each)
        if not isinstance(each, SCOPES):
            waiting.extend(ast.iter_child_nodes(each))
    return tuple(found)


@lru_cache(maxsize=512)
def parse(filename: str) -> ast.Module | None:
    """The syntax tree of a file, or None if it has no readable source."""
    try:
        return ast.parse(Path(filename).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _functions(filename: str) -> dict[int, list[FunctionNode]]:
    tree = parse(filename)
    found: dict[int, list[FunctionNode]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            lines = [each.lineno for each in getattr(node, "decorator_list", ())]
            found.setdefault(min([node.lineno, *lines]), []).append(node)
    return found


def node_of(function: FunctionType) -> FunctionNode | None:
    """The syntax tree of a function, or None."""
    code = function.__code__
    nodes = _functions(code.co_filename).get(code.co_firstlineno, ())
    return next((each for each in nodes if getattr(each, "name", "<lambda>") == code.co_name), None)


def plain_function(value: Any) -> tuple[FunctionType | None, Any]:
    """The function of a method or function, and the object to which it is bound."""
    if isinstance(value, MethodType):
        function = value.__func__
        return (function, value.__self__) if isinstance(function, FunctionType) else (None, None)
    return (value, None) if isinstance(value, FunctionType) else (None, None)


def undecorated(function: FunctionType) -> Iterator[FunctionType]:
    """A function and those that its decorators wrap, from the outside to the inside."""
    seen: set[int] = set()
    waiting: list[Any] = [function]
    while waiting:
        each = waiting.pop(0)
        each = each.__func__ if isinstance(each, MethodType) else each
        if not isinstance(each, FunctionType) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting.append(getattr(each, "__wrapped__", None))
        if each.__closure__ and hasattr(each, "__wrapped__"):
            waiting.extend(cell.cell_contents for cell in each.__closure__ if _is_filled(cell))


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


@dataclass
class PluginSource:
    """The functions that the hooks of a plugin reach."""

    checked: CheckedPlugin
    reached: list[Reached] = field(default_factory=list)
    _seen: set[tuple[str, int, bool, bool]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for each in self.checked.marked():
            function, owner = plain_function(each.function)
            for inner in undecorated(function) if function is not None else ():
                self._reach(each.hook, inner, owner, at_once=True, guarded=False)
            if each.hook in DECLARING:
                at_once = each.hook in IN_WEB_REQUESTS
                for declared in self._declared(each.function):
                    for value in _functions_of(declared):
                        self._reach_value(each.hook, value, at_once=at_once, guarded=False)

    def routes(self) -> list[PageRoute | ApiRoute]:
        """The routes of the plugin, with its own functions."""
        declared = [
            route
            for each in self.checked.marked()
            if each.hook == "register_routes"
            for route in self._declared(each.function)
        ]
        return [each for each in declared if isinstance(each, PageRoute | ApiRoute)]

    def _declared(self, register: Any) -> list[Any]:
        """The commands, checks or routes that the plugin returns. Another check reports it if it raises."""
        try:
            return list(register())
        except Exception:
            return []

    def _reach(self, hook: str, function: FunctionType, owner: Any, *, at_once: bool, guarded: bool) -> None:
        node = node_of(function) if self.checked.owns(function.__code__.co_filename) else None
        if node is not None:
            self._reach_node(Reached(hook, node, function, owner, at_once, guarded))

    def _reach_node(self, reached: Reached) -> None:
        key = reached.hook, id(reached.node), reached.at_once, reached.guarded
        if key in self._seen:
            return
        self._seen.add(key)
        self.reached.append(reached)
        called = {id(each.func) for each in own_nodes(reached.node) if isinstance(each, ast.Call)}
        in_try = guarded_nodes(reached.node)
        for each in own_nodes(reached.node):
            guarded = reached.guarded or id(each) in in_try
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                # A function inside may be called at once or later: later is what it usually is for.
                inner = Reached(reached.hook, each, reached.function, reached.owner, False, guarded)
                self._reach_node(inner)
            elif isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Load):
                value = reached.value(each)
                at_once = reached.at_once and id(each) in called
                self._reach_value(reached.hook, value, at_once=at_once, guarded=guarded)

    def _reach_value(self, hook: str, value: Any, *, at_once: bool, guarded: bool) -> None:
        if isinstance(value, type):
            if self.checked.owns(_file_of_class(value)):
                for name in ("__init__", "__post_init__", "__enter__", "__exit__", "__call__"):
                    made = inspect.getattr_static(value, name, None)
                    if isinstance(made, FunctionType):
                        self._reach(hook, made, value, at_once=at_once, guarded=guarded)
            return
        if isinstance(value, property):
            value = value.fget
        if isinstance(value, CachedFunction):
            value = value.__wrapped__
        if isinstance(value, click.Command):
            for each in getattr(value, "commands", {}).values():
                self._reach_value(hook, each, at_once=False, guarded=guarded)
            value = value.callback
        function, owner = plain_function(value)
        for inner in undecorated(function) if function is not None else ():
            self._reach(hook, inner, owner, at_once=at_once, guarded=guarded)

    def reached_from(self, function: Any) -> list[Reached]:
        """The functions of the plugin that ``function``, such as the action of a route, runs."""
        alone = copy(self)
        alone.reached, alone._seen = [], set()
        alone._reach_value("", function, at_once=True, guarded=False)
        return alone.reached

    def hook_at(self, where: str) -> str | None:
        """The hook that runs the code at ``FILE:LINE``, or None."""
        name, _, line = where.rpartition(":")
        if not line.isdigit():
            return None
        around = [
            (each.node.lineno, each.hook)
            for each in self.reached
            if Path(each.filename).name == name
            and each.node.lineno <= int(line) <= (each.node.end_lineno or 0)
        ]
        return max(around)[1] if around else None

    def of_hook(self, hook: str) -> Reached | None:
        """The implementation of a hook itself, the innermost one if it is decorated."""
        function, _ = plain_function(self.checked.implementations.get(hook))
        nodes = [node_of(each) for each in undecorated(function)] if function is not None else []
        nodes = [each for each in nodes if each is not None]
        return next((each for each in self.reached if nodes and each.node is nodes[-1]), None)


def _functions_of(declared: Any) -> tuple[Any, ...]:
    """The functions of a route, or the command, check or panel itself."""
    if isinstance(declared, PageRoute):
        return declared.show, declared.action
    if isinstance(declared, Panel):
        return (declared.show,)
    if isinstance(declared, AdminPanel):
        pages, actions = declared.pages, declared.actions
        return declared.show, *(each.show for each in pages), *(each.run for each in actions)
    return (declared.run,) if isinstance(declared, ApiRoute) else (declared,)


def _file_of_class(kind: type) -> str:
    try:
        return inspect.getfile(kind)
    except (TypeError, OSError):
        return ""


@lru_cache(maxsize=4096)
def guarded_nodes(node: FunctionNode) -> frozenset[int]:
    """The ids of all nodes in the body of a ``try`` that has handlers, or in ``with suppress(…)``."""
    found: set[int] = set()
    for each in own_nodes(node):
        inside = isinstance(each, ast.Try) and bool(each.handlers)
        if isinstance(each, ast.With):
            inside = any("suppress" in ast.dump(item.context_expr) for item in each.items)
        if inside:
            found.update(id(inner) for statement in each.body for inner in ast.walk(statement))  # type: ignore[attr-defined]
    return frozenset(found)


def dotted(node: ast.expr | None) -> str:
    """The source of a name or attribute, such as ``self.lock``; other expressions as they are written."""
    return ast.unparse(node) if node is not None else ""


Rule = Callable[[PluginSource], Iterator[Any]]
