"""Implementations whose body has never run, or has never done anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import runs_in_flows
from authhost.testing.conformance.source import (
    IN_WEB_REQUESTS,
    FunctionNode,
    PluginSource,
    Reached,
    assigned_names,
    dotted,
    node_of,
    own_nodes,
    plain_function,
    undecorated,
)

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
    {
        "account_recovered",
        "factors_removed",
        "impersonation_ended",
        "impersonation_started",
        "password_removed",
        "user_deactivated",
        "password_reset_required",
        "user_reactivated",
        "user_deleted",
        "session_ended",
        "before_change",
    }
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


def never_run(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    """Hooks that no flow of the suite has called, or whose body did nothing in all calls so far."""
    counts: dict[str, int] = {}
    for call in context.with_plugin.calls:
        counts[call.hook] = counts.get(call.hook, 0) + 1
    covered = context.covered
    for hook in context.checked.implementations:
        if not runs_in_flows(hook) or hook in IN_WEB_REQUESTS:  # the check `pages` calls these
            continue
        reached = source.of_hook(hook)
        if reached is None or isinstance(reached.node, ast.Lambda):
            continue
        if not counts.get(hook):
            social = "social" in hook and find_spec("oidc_provider_mock") is None
            reason = "the flows of social login need `pip install oidc-provider-mock`"
            text = reason if social else "no flow of this suite calls it; test it yourself"
            if hook in context.with_plugin.not_called:
                text = f"was not called, since {context.with_plugin.not_called[hook]}; test it yourself"
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
