"""A rule about secrets that the source code puts into logs, output, cookies or messages."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import in_flows
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

LOGGING = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
ANSWERING = {"set_cookie": "a cookie", "message": "a message", "redirect": "a redirect"}
SECRET_ATTRIBUTES = {
    "request.session_token": "the session token",
    "request.device_token": "the device token",
    "message.link": "the link of a message",
    "message.key": "the key of a message",
}
PASSING = frozenset(
    {"str", "repr", "format", "dumps", "dict", "strip", "encode", "decode", "quote", "urlencode"}
)
"""Functions whose result still contains their arguments."""


def secrets_passed_on(source: PluginSource) -> Iterator[Fault]:
    """Secrets that are arguments of a function which shows or stores them."""
    for reached in in_flows(source):
        named = _named_secrets(reached)
        for node in own_nodes(reached.node):
            target = _target(node) if isinstance(node, ast.Call) else None
            if target is None or not isinstance(node, ast.Call):
                continue
            values = [*node.args, *(each.value for each in node.keywords)]
            for what in sorted({each for value in values for each in _secrets_in(reached, value, named)}):
                yield Fault(
                    f"puts {what} into {target}, where others can read it; leave it out, or seal it with "
                    "request.seal",
                    reached.hook,
                    reached.at(node),
                )


def _target(node: ast.Call) -> str | None:
    """What a function writes to: a log, the output, a cookie, or a message to the user."""
    holder, _, name = dotted(node.func).rpartition(".")
    if name == "print" and not holder:
        return "the output"
    if name in LOGGING and "log" in holder.lower():
        return "a log record"
    return ANSWERING.get(name) if holder.rpartition(".")[2] == "answer" else None


def _named_secrets(reached: Reached) -> dict[str, str]:
    """The local variables that contain a secret."""
    named = {"password": "a password"} if reached.hook == "check_password" else {}
    for node in own_nodes(reached.node):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.NamedExpr):
            found = list(_secrets_in(reached, node.value, named))
            named.update((each.id, found[0]) for each in targets if found and isinstance(each, ast.Name))
    return named


def _secrets_in(reached: Reached, node: ast.expr, named: dict[str, str]) -> Iterator[str]:
    """The secrets that a value still contains. A function that is not known may seal or shorten them."""
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2]
        if name == "reveal":
            yield "a provider's token"
        elif name in PASSING:
            parts = [*node.args, *(each.value for each in node.keywords)]
            if isinstance(node.func, ast.Attribute):
                parts.append(node.func.value)
            for each in parts:
                yield from _secrets_in(reached, each, named)
    elif isinstance(node, ast.Attribute):
        if dotted(node) in SECRET_ATTRIBUTES:
            yield SECRET_ATTRIBUTES[dotted(node)]
    elif isinstance(node, ast.Name):
        if node.id in named:
            yield named[node.id]
    elif isinstance(node, ast.IfExp):
        for each in (node.body, node.orelse):
            yield from _secrets_in(reached, each, named)
    elif isinstance(
        node, ast.BinOp | ast.BoolOp | ast.JoinedStr | ast.FormattedValue | ast.Dict | ast.Tuple | ast.List
    ):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _secrets_in(reached, child, named)
