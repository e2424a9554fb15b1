"""A rule about state of one unit of work that a hook of another one expects."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

READING = frozenset({"get", "pop"})
SOCIAL = ("pre_social_login", "social_account_added", "social_account_updated", "user_logged_in")
LATER: Mapping[str, tuple[str, ...]] = {
    "before_signup": ("account_ready", "email_confirmed"),
    "user_signed_up": ("account_ready", "email_confirmed"),
    "email_added": ("email_confirmed",),
    "email_confirmation_sent": ("email_confirmed",),
    "password_reset_requested": ("password_reset",),
    "social_login_begun": SOCIAL,
}
"""What each hook is followed by in a later unit of work, always or where addresses have to be confirmed."""


def other_units(source: PluginSource) -> Iterator[Fault]:
    """A key of `Request.local` that a hook reads, and only a hook of an earlier unit of work stores."""
    stores: dict[str, set[str]] = {}
    reads: dict[str, list[tuple[Reached, ast.AST]]] = {}
    for reached in source.reached:
        nodes = own_nodes(reached.node)
        optional = {id(each) for node in nodes if isinstance(node, ast.BoolOp) for each in ast.walk(node)}
        optional |= _with_fallback(nodes)
        for node in nodes:
            key = _key(reached, node)
            if key is None:
                continue
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                stores.setdefault(key, set()).add(reached.hook)
            elif id(node) not in optional:
                reads.setdefault(key, []).append((reached, node))
    for key, hooks in stores.items():
        for reached, node in reads.get(key, ()):
            if all(reached.hook in LATER.get(hook, ()) for hook in hooks):
                yield Fault(
                    f"reads {key} of request.local, which {' and '.join(sorted(hooks))} stores in another "
                    "unit of work where the address has to be confirmed; store a row, or use request.given",
                    reached.hook,
                    reached.at(node),
                )


def _with_fallback(nodes: tuple[ast.AST, ...]) -> set[int]:
    """The reads whose result is stored in a variable that the function also stores otherwise."""
    stores: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                stores.setdefault(dotted(target), []).append(node.value)
    return {id(each) for values in stores.values() if len(values) > 1 for each in values}


def _key(reached: Reached, node: ast.AST) -> str | None:
    """The fixed key of an entry of ``request.local(…)``, directly or by a variable."""
    holder, key = None, None
    if isinstance(node, ast.Subscript):
        holder, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING:
        holder, key = node.func.value, node.args[0] if node.args else None
    if holder is None or not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    return key.value if _is_local(reached, holder) else None


def _is_local(reached: Reached, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return any(
            _is_local(reached, each.value)
            for each in own_nodes(reached.node)
            if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]
            if isinstance(each.value, ast.Call)
        )
    return isinstance(node, ast.Call) and dotted(node.func).endswith("request.local")
