"""Check that each implementation is called, and that its body can run."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeGuard, get_args

import authhost_hookspecs as contract
from authhost_hookspecs.declarations import MessageKind

from authhost import errors
from authhost.errors import AuthError
from authhost.pluginhost.attributes import MARKER_ATTRIBUTES
from authhost.pluginhost.hooks import NOTIFICATIONS, SPEC_ARGUMENTS, VETOES
from authhost.testing.conformance.checks.edges import edges
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import (
    FunctionNode,
    PluginSource,
    Reached,
    assigned_names,
    dotted,
    node_of,
    own_nodes,
    parse,
    plain_function,
    undecorated,
)

NEAR = 0.85
"""How similar an unknown name must be to that of a hook to be a typing error."""
IN_FLOWS = NOTIFICATIONS | VETOES | {"deliver_message"}
OF_ALL_KINDS = frozenset(
    {
        "request.user",
        "request.session",
        "request.ip_address",
        "request.provider",
        "user.is_active",
        "user.email",
    }
)
"""Attributes of which the flows of the suite have all values that a hook can get."""
ADMINISTRATIVE = frozenset(
    {"user_deactivated", "user_reactivated", "user_deleted", "session_ended", "before_change"}
)
"""Hooks that these flows call only without a logged-in user, or in few ways."""
PURE = frozenset(
    [
        "all",
        "any",
        "bool",
        "dict",
        "endswith",
        "format",
        "frozenset",
        "get",
        "getattr",
        "hasattr",
        "int",
        "isinstance",
        "isoformat",
        "items",
        "join",
        "keys",
        "len",
        "list",
        "lower",
        "lstrip",
        "max",
        "min",
        "next",
        "partition",
        "plugin_settings",
        "reveal",
        "rpartition",
        "rsplit",
        "rstrip",
        "set",
        "sorted",
        "split",
        "startswith",
        "str",
        "strip",
        "sum",
        "tuple",
        "upper",
        "values",
    ]
)
"""Functions and methods whose call changes nothing."""


def called(context: CheckContext) -> Iterator[Fault]:
    """Each implementation is called, and its body can run: nothing hides it, and no condition prevents it."""
    source = PluginSource(context.checked)
    yield from _mistyped_hooks(context)
    yield from _hidden(context, source)
    yield from _not_registered(context)
    yield from dict.fromkeys(_impossible_comparisons(source))
    run = context.with_plugin
    if run.stopped_after is None:
        yield from _never_run(context, source)


def _place(function: FunctionType) -> tuple[str, int]:
    return function.__code__.co_filename, function.__code__.co_firstlineno


def _where(place: tuple[str, int]) -> str:
    return f"{Path(place[0]).name}:{place[1]}"


def _mistyped_hooks(context: CheckContext) -> Iterator[Fault]:
    """Optional hooks and unmarked functions whose names look like those of hooks."""
    checked = context.checked
    kind = checked.plugin if isinstance(checked.plugin, ModuleType) else type(checked.plugin)
    for name in dir(kind):
        function, _ = plain_function(inspect.getattr_static(kind, name))
        if function is None or not checked.owns(_place(function)[0]):
            continue
        near = get_close_matches(name, SPEC_ARGUMENTS, 1, NEAR)
        marks = [vars(function)[each] for each in MARKER_ATTRIBUTES if each in vars(function)]
        named = [mark["specname"] for mark in marks if isinstance(mark, dict) and mark.get("specname")]
        if named:
            near = get_close_matches(named[0], SPEC_ARGUMENTS, 1, NEAR)
            name = named[0]
        if not near or name in SPEC_ARGUMENTS:
            continue
        parameters = [each for each in inspect.signature(function).parameters if each != "self"]
        is_helper = not marks and (not parameters or not set(parameters) <= set(SPEC_ARGUMENTS[near[0]]))
        if not is_helper:
            yield Fault(
                f"is never called, since there is no hook {name!r}; did you mean {near[0]!r}? "
                "`authhost hooks` lists all hooks",
                name,
                _where(_place(function)),
            )


def _marked_hook(function: Any) -> TypeGuard[FunctionType]:
    return isinstance(function, FunctionType) and any(each in vars(function) for each in MARKER_ATTRIBUTES)


def _hidden(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
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
                    by = f"the one in {_where(_place(hiding))}" if hiding else "an attribute of the object"
                    yield Fault(
                        f"is never called, since {by} with the same name hides it; "
                        f"call super().{name}(…) there, or rename it",
                        name,
                        _where(_place(function)),
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


def _not_registered(context: CheckContext) -> Iterator[Fault]:
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
                known.update(map(_place, undecorated(function) if function is not None else ()))
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


# Comparisons with values that do not exist.


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
        "reason": quoted(contract.extensions.notifications.session_ended.__doc__) - {"reason"},
        "code": frozenset(codes),
    }


VOCABULARY = _vocabulary()
HOLDERS = {"process": {"sociallogin"}, "kind": {"message"}, "code": {"error"}}
"""The arguments whose attributes have these values."""


def _impossible_comparisons(source: PluginSource) -> Iterator[Fault]:
    for reached in source.reached:
        if reached.hook not in IN_FLOWS:
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Compare) or len(node.ops) != 1:
                continue
            left, right = node.left, node.comparators[0]
            subject, literal = (left, right) if _strings(right) else (right, left)
            if not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn) or not _strings(literal):
                continue
            name = _enumerated(reached, subject)
            if name is None:
                continue
            known = VOCABULARY[name]
            unknown = [each for each in _strings(literal) if each not in known]
            for each in unknown:
                near = get_close_matches(each, known, 1, 0.75)
                if name == "code" and not near:
                    continue  # another plugin may have errors of its own
                hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(sorted(known))}"
                yield Fault(
                    f"compares {dotted(subject)} with {each!r}, which it never is, so the code behind this "
                    f"condition does not do what it says; {hint}",
                    reached.hook,
                    reached.at(node),
                )


def _strings(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        values = [each.value for each in node.elts if isinstance(each, ast.Constant)]
        return [each for each in values if isinstance(each, str)]
    return []


def _enumerated(reached: Reached, node: ast.expr) -> str | None:
    """The name in `VOCABULARY` of the values that an expression has."""
    if isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
        name = node.args[1]
        if isinstance(name, ast.Constant) and dotted(node.args[0]) in HOLDERS.get(str(name.value), ()):
            return str(name.value)
    if isinstance(node, ast.Attribute):
        return node.attr if dotted(node.value) in HOLDERS.get(node.attr, ()) else None
    if isinstance(node, ast.Name):
        if node.id in ("process", "reason") and node.id in SPEC_ARGUMENTS.get(reached.hook, ()):
            return node.id
        for each in own_nodes(reached.node):
            if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]:
                return None if isinstance(each.value, ast.Name) else _enumerated(reached, each.value)
    return None


# What has never run.


def _never_run(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    if "edges" not in context.known_faults:
        list(edges(context))
    counts: dict[str, int] = {}
    for call in context.with_plugin.calls:
        counts[call.hook] = counts.get(call.hook, 0) + 1
    covered = context.covered
    for hook in context.checked.implementations:
        if hook not in IN_FLOWS:
            continue
        reached = source.of_hook(hook)
        if reached is None or isinstance(reached.node, ast.Lambda):
            continue
        if not counts.get(hook):
            social = "social" in hook and find_spec("oidc_provider_mock") is None
            reason = "the flows of social login need `pip install oidc-provider-mock`"
            text = reason if social else "no flow of this suite calls it; test it yourself"
            yield Fault(text, hook, note=True)
            continue
        lines = {line for file, line in covered if file == reached.filename}
        effects = [each for each in _statements(reached.node) if _has_effect(each)]
        if not lines & {line for each in _statements(reached.node) for line in _lines(each)}:
            yield _decorator_fault(context, source, reached, hook, counts[hook])
        elif effects and not any(lines & _lines(each) for each in effects):
            yield from _condition_fault(reached, effects, lines, hook)


def _decorator_fault(
    context: CheckContext, source: PluginSource, reached: Reached, hook: str, calls: int
) -> Fault:
    """Why a decorator has never called the implementation. It is a note if it does so on a condition."""
    where = f"{Path(reached.filename).name}:{reached.node.lineno}"
    function, _ = plain_function(context.checked.implementations[hook])
    wrappers = [node_of(each) for each in undecorated(function)][:-1] if function is not None else []
    for wrapper in (each for each in source.reached if each.hook == hook and each.node in wrappers):
        lines = {line for file, line in context.covered if file == wrapper.filename}
        effects = [each for each in _statements(wrapper.node) if _has_effect(each)]
        if effects and not any(lines & _lines(each) for each in effects):
            found = list(_condition_fault(wrapper, effects, lines, hook))
            if found:
                return found[0]
        inner = {id(each) for each in undecorated(wrapper.function)} - {id(wrapper.function)}
        if any(_calls(wrapper, inner, each) for each in own_nodes(wrapper.node)):
            text = f"its body never ran in {calls} calls, since its decorator calls it only on a condition"
            return Fault(f"{text}; give settings with --set, or test it yourself", hook, where, note=True)
    text = f"its body never ran in {calls} calls, since its decorator does not call it"
    return Fault(f"{text}; call the function in the decorator", hook, where)


def _calls(reached: Reached, functions: set[int], node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and id(plain_function(reached.value(node.func))[0]) in functions


def _statements(node: FunctionNode) -> list[ast.stmt]:
    """All statements of a function without its docstring; compound ones with their first line."""
    found = [each for each in own_nodes(node) if isinstance(each, ast.stmt)]
    return [
        each for each in found if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]


def _lines(node: ast.stmt) -> set[int]:
    return {node.lineno}


def _has_effect(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise | ast.Delete | ast.AugAssign):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(each, ast.Attribute | ast.Subscript) for each in targets):
            return True
    parts: list[ast.AST] = [node]
    if isinstance(node, ast.If | ast.While):
        parts = [node.test]
    elif isinstance(node, ast.For):
        parts = [node.iter]
    elif isinstance(node, ast.With):
        parts = [each.context_expr for each in node.items]
    elif isinstance(node, ast.Try | ast.Match | ast.FunctionDef | ast.ClassDef):
        return False
    return any(
        isinstance(each, ast.Yield | ast.YieldFrom)
        or (isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] not in PURE)
        for part in parts
        for each in ast.walk(part)
    )


def _condition_fault(
    reached: Reached, effects: list[ast.stmt], lines: set[int], hook: str
) -> Iterator[Fault]:
    """The conditions that have kept a hook from doing anything, and whether they ever can be otherwise."""
    conditions = [
        each for each in _statements(reached.node) if isinstance(each, ast.If) and each.lineno in lines
    ]
    blocking = [each for each in conditions if _is_blocking(each, lines)]
    if not blocking:
        return
    closed = all(_is_closed(reached, each.test) for each in blocking)
    shown = "; ".join(f"line {each.lineno}: {ast.unparse(each.test)[:60]}" for each in blocking)
    if closed:
        yield Fault(
            f"never does anything, since its condition never lets it ({shown}); change "
            "the condition, or remove the hook",
            hook,
            reached.at(blocking[0]),
        )
    else:
        yield Fault(
            f"did nothing in any flow of this suite ({shown}); give settings with --set, or test it yourself",
            hook,
            reached.at(blocking[0]),
            note=True,
        )


def _is_blocking(node: ast.If, lines: set[int]) -> bool:
    """Whether a condition has always led away from what the function does."""
    leaves = isinstance(node.body[-1], ast.Return | ast.Continue | ast.Break)
    ran = any(each.lineno in lines for each in node.body)
    return ran if leaves else not ran


def _is_closed(reached: Reached, node: ast.expr) -> bool:
    """Whether a condition depends only on values of which these flows have all kinds."""
    if isinstance(node, ast.BoolOp):
        return all(_is_closed(reached, each) for each in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _is_closed(reached, node.operand)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = node.left, node.comparators[0]
        constant = isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
        return constant and _is_contract_value(reached, left)
    return _is_contract_value(reached, node)


def _is_contract_value(reached: Reached, node: ast.expr) -> bool:
    """Whether an expression is an argument of the hook, or an attribute of one."""
    if isinstance(node, ast.Attribute):
        if dotted(node) not in OF_ALL_KINDS or (
            reached.hook in ADMINISTRATIVE and dotted(node).startswith("request.")
        ):
            return False
        node = node.value
    if not isinstance(node, ast.Name):
        return False
    if node.id in SPEC_ARGUMENTS.get(reached.hook, ()):
        return True
    if node.id not in assigned_names(reached.node):
        return False
    values = [
        each.value
        for each in own_nodes(reached.node)
        if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]
    ]
    return bool(values) and all(
        _is_contract_value(reached, each)
        for each in values
        if not (isinstance(each, ast.Name) and each.id == node.id)
    )
