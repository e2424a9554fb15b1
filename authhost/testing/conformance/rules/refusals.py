"""Rules about refusals: those that refuse nothing, and those in hooks that cannot refuse."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from authhost_hookspecs import Refused, StopFlow

from authhost.pluginhost.hooks import STOPS, VETOES, is_notification
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import in_flows, raises_again
from authhost.testing.conformance.source import (
    SCOPES,
    PluginSource,
    Reached,
    dotted,
    node_of,
    own_nodes,
    plain_function,
)

ANSWERING = (ast.Return, ast.If, ast.Assign, ast.AnnAssign, ast.For)
"""The statements of a function that only answers a question."""
ASKING = frozenset({"startswith", "endswith", "isinstance", "bool", "any", "all", "issubset", "isdisjoint"})


def revealing_refusals(source: PluginSource) -> Iterator[Fault]:
    """A signup that is refused because its address has an account: anybody learns who has one."""
    own = source.of_hook("before_signup")
    nodes = own_nodes(own.node) if own is not None else ()
    asked = [each for each in nodes if isinstance(each, ast.Call) and _asks_for_account(each)]
    if own is not None and asked and any(isinstance(each, ast.Raise) for each in nodes):
        yield Fault(
            f"asks {dotted(asked[0].func)} before it refuses, so a refusal reveals who has an account; the "
            "host itself answers a taken address like a free one: leave it to the host",
            "before_signup",
            own.at(asked[0]),
        )


def _asks_for_account(node: ast.Call) -> bool:
    return dotted(node.func).endswith(".user_by_email")


def veto_returns(source: PluginSource) -> Iterator[Fault]:
    for reached in source.reached:
        if reached.hook not in VETOES or reached.function is not _own_function(source, reached.hook):
            continue
        if isinstance(reached.node, ast.Lambda) or not reached.at_once:
            continue
        for node in own_nodes(reached.node):
            shown = _refuses_nothing(source, reached, node.value) if isinstance(node, ast.Return) else None
            if shown:
                yield Fault(
                    f"returns {shown}, which the host counts as a failure of the plugin; "
                    "`raise Refused(code, message)` to refuse, and return None to let it pass",
                    reached.hook,
                    reached.at(node),
                )


def _own_function(source: PluginSource, hook: str) -> Any:
    found = source.of_hook(hook)
    return found.function if found is not None else None


def _refuses_nothing(
    source: PluginSource, reached: Reached, value: ast.expr | None, depth: int = 0
) -> str | None:
    """What is wrong with a value that a veto returns, or None if it is None or cannot be known."""
    if value is None or depth > 3 or (isinstance(value, ast.Constant) and value.value is None):
        return None
    if isinstance(value, ast.IfExp):
        both = (value.body, value.orelse)
        return next(filter(None, (_refuses_nothing(source, reached, each, depth + 1) for each in both)), None)
    if isinstance(value, ast.Name):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.Assign) and any(dotted(each) == value.id for each in node.targets):
                found = _refuses_nothing(source, reached, node.value, depth + 1)
                if found:
                    return found
        return None
    if isinstance(value, ast.Call):
        called = reached.value(value.func)
        if isinstance(called, type):
            return f"{called.__name__}(…)" if called not in (type(None),) else None
        function, owner = plain_function(called)
        called_node = node_of(function) if function is not None else None
        if function is None or called_node is None or not source.checked.owns(_file(function)):
            return None
        inner = Reached(reached.hook, called_node, function, owner, True)
        for each in own_nodes(called_node):
            found = (
                _refuses_nothing(source, inner, each.value, depth + 1)
                if isinstance(each, ast.Return)
                else None
            )
            if found:
                return f"the result of {dotted(value.func)}, which returns {found}"
        return None
    if isinstance(
        value,
        ast.Constant
        | ast.JoinedStr
        | ast.Compare
        | ast.BoolOp
        | ast.UnaryOp
        | ast.Tuple
        | ast.List
        | ast.Dict,
    ):
        text = ast.unparse(value)
        return text if len(text) <= 40 else f"{text[:37]}…"
    return None


def _file(function: Any) -> str:
    filename: str = function.__code__.co_filename
    return filename


def _is_refusal(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Refused | StopFlow)


def dropped_refusals(source: PluginSource) -> Iterator[Fault]:
    """``Refused(…)`` that nobody raises, made here or by a function that is called here."""
    for reached in in_flows(source):
        nodes = own_nodes(reached.node)
        used = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        used |= {inner.id for each in nodes if isinstance(each, SCOPES) for inner in _loaded_names(each)}
        for node in nodes:
            value: ast.expr | None = None
            if isinstance(node, ast.Expr):
                value = node.value
            elif isinstance(node, ast.Assign) and all(isinstance(each, ast.Name) for each in node.targets):
                unused = not any(isinstance(each, ast.Name) and each.id in used for each in node.targets)
                value = node.value if unused else None
            refusal = _made_refusal(source, reached, value) if value is not None else None
            if refusal:
                yield Fault(
                    f"creates {refusal} and does not raise it, so it refuses nothing; "
                    "write `raise` before it",
                    reached.hook,
                    reached.at(node),
                )


def _loaded_names(node: ast.AST) -> Iterator[ast.Name]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load))


def _called_function(source: PluginSource, reached: Reached, node: ast.expr) -> Reached | None:
    """The plugin's own function that an expression calls, or None."""
    function, owner = plain_function(reached.value(node.func)) if isinstance(node, ast.Call) else (None, None)
    called = node_of(function) if function is not None and source.checked.owns(_file(function)) else None
    if function is None or called is None or isinstance(called, ast.AsyncFunctionDef):
        return None
    return Reached(reached.hook, called, function, owner, True)


def _made_refusal(
    source: PluginSource, reached: Reached, value: ast.expr | None, depth: int = 0
) -> str | None:
    """The refusal that an expression creates, or None."""
    if not isinstance(value, ast.Call) or depth > 3:
        return None
    kind = reached.value(value.func)
    if _is_refusal(kind):
        return f"{kind.__name__}(…)"
    called = _called_function(source, reached, value)
    if called is None:
        return None
    for node in own_nodes(called.node):
        if isinstance(node, ast.Return):
            found = _made_refusal(source, called, node.value, depth + 1)
            if found:
                return f"{found.partition(' ')[0]} by {dotted(value.func)}"
    return None


def dropped_answers(source: PluginSource) -> Iterator[Fault]:
    """Answers of a function that a veto calls and does not use."""
    for reached in source.reached:
        if reached.hook not in VETOES or not reached.at_once:
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
                continue
            called = _called_function(source, reached, node.value)
            if called is not None and _only_answers(called):
                yield Fault(
                    f"does not use what {dotted(node.value.func)} returns, so it refuses nothing; "
                    "`raise Refused(code, message)` there, or use the value in a condition",
                    reached.hook,
                    reached.at(node),
                )


def _only_answers(called: Reached) -> bool:
    """Whether a function only returns True or False."""
    nodes = own_nodes(called.node)
    values = [each.value for each in nodes if isinstance(each, ast.Return)]
    return (
        bool(values)
        and all(map(_is_answer, values))
        and all(isinstance(each, ANSWERING) or _is_text(each) for each in nodes if isinstance(each, ast.stmt))
    )


def _is_answer(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return dotted(value.func).rpartition(".")[2] in ASKING
    if isinstance(value, ast.Constant):
        return isinstance(value.value, bool)
    return isinstance(value, ast.Compare | ast.BoolOp) or (
        isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def refusals_elsewhere(source: PluginSource) -> Iterator[Fault]:
    """Refusals in hooks that cannot refuse."""
    for reached in source.reached:
        if (
            not reached.at_once
            or reached.guarded
            or not (is_notification(reached.hook) or reached.hook == "deliver_message")
        ):
            continue
        for node, kind in _raised(reached):
            if issubclass(kind, STOPS.get(reached.hook, ())):
                continue
            where = (
                "in pre_social_login only"
                if issubclass(kind, StopFlow)
                else f"in {', '.join(sorted(VETOES))}"
            )
            yield Fault(
                f"raises {kind.__name__}, which stops nothing here and counts as a failure; raise it {where}",
                reached.hook,
                reached.at(node),
            )


def _raised(reached: Reached) -> Iterator[tuple[ast.Raise, type]]:
    for node in own_nodes(reached.node):
        if isinstance(node, ast.Raise) and node.exc is not None:
            kind = reached.value(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if _is_refusal(kind):
                yield node, kind


def swallowed_refusals(source: PluginSource) -> Iterator[Fault]:
    """A refusal that the plugin's own ``except`` catches."""
    refusing = {id(each.node) for each in source.reached for _ in _raised(each)}
    for reached in source.reached:
        if reached.hook not in VETOES | STOPS.keys() or not reached.at_once:
            continue
        for node in own_nodes(reached.node):
            handler: ast.AST | None = None
            if isinstance(node, ast.Try):
                caught = _catching(reached, node)
                handler = None if caught is None or raises_again(caught) else caught
            elif isinstance(node, ast.With):
                handler = node if _suppresses_refusals(reached, node) else None
            if handler is None or not isinstance(node, ast.Try | ast.With):
                continue
            inside = [inner for statement in node.body for inner in ast.walk(statement)]
            raised = any(each in inside for each, _ in _raised(reached))
            for each in inside:
                function, _ = (
                    plain_function(reached.value(each.func)) if isinstance(each, ast.Call) else (None, None)
                )
                raised = raised or (function is not None and id(node_of(function)) in refusing)
            if raised:
                yield Fault(
                    "catches its own refusal, so it refuses nothing; raise Refused outside of this `try`, or "
                    "catch only the errors that the statements before it raise",
                    reached.hook,
                    reached.at(handler),
                )


def _catching(reached: Reached, node: ast.Try) -> ast.ExceptHandler | None:
    """The first handler that catches a refusal."""
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            value = BaseException if kind is None else reached.value(kind)
            if isinstance(value, type) and (_is_refusal(value) or value in (Exception, BaseException)):
                return handler
    return None


def _suppresses_refusals(reached: Reached, node: ast.With) -> bool:
    calls = [each.context_expr for each in node.items if isinstance(each.context_expr, ast.Call)]
    return any(
        _is_refusal(reached.value(kind)) or dotted(kind) in ("Exception", "BaseException")
        for call in calls
        if dotted(call.func).rpartition(".")[2] == "suppress"
        for kind in call.args
    )
